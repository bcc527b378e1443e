# Two images: the last one, for production, is without the sandbox, the embedded
# Redis and the demo sign-in; --target dev has them.

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
ENV CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH
ENV LDFLAGS="-s -w -X main.version=$VERSION -X main.commit=$COMMIT"
RUN go build -trimpath -buildvcs=false -tags release -ldflags "$LDFLAGS" -o /farebox . && \
    go build -trimpath -buildvcs=false -ldflags "$LDFLAGS" -o /farebox-dev .

# Static, without a shell; it holds certificates and time zones, and no root.
FROM gcr.io/distroless/static-debian12:nonroot AS dev
COPY --from=build /farebox-dev /farebox
EXPOSE 8080 9090
ENTRYPOINT ["/farebox"]
CMD ["dev", "--listen-all"]

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /farebox /farebox
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=4s --start-period=5s CMD ["/farebox", "healthcheck"]
ENTRYPOINT ["/farebox"]
CMD ["serve"]
