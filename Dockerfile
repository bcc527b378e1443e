# The build runs where the builder is, whatever it builds for.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=unreleased
ARG COMMIT=
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION -X main.commit=$COMMIT" -o /farebox .

# Static, without a shell; it holds certificates and time zones, and no root.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /farebox /farebox
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=4s --start-period=5s CMD ["/farebox", "healthcheck"]
ENTRYPOINT ["/farebox"]
CMD ["serve"]
