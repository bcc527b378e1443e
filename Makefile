# What a contributor runs, and CI runs the same.

GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unreleased)
SOAK ?= 5m
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null)

.PHONY: build dev deps fmt lint test soak bench screenshots image release

build: ## the static binary, ./farebox
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)" -o farebox .

dev: ## everything in one process, no account needed
	$(GO) run . dev

deps: ## what the tests need beside Go
	@scripts/deps.sh

fmt:
	gofmt -w $$(git ls-files '*.go')

lint:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not gofmt'ed:"; echo "$$unformatted"; exit 1; fi
	$(GO) mod tidy -diff
	$(GO) vet -tags real ./...
	$(GO) build -tags release ./...
	$(GO) tool staticcheck -tags real ./...

test: deps lint ## everything, with a real Redis and a real browser
	$(GO) test ./... -count=1
	$(GO) test -tags real -race -shuffle=on -count=1 -timeout 15m ./...
	$(GO) -C deploy/verify test -count=1 ./...
	@for target in internal/policy/FuzzRead session/FuzzVerify session/FuzzClaims session/FuzzKeySet handlers/FuzzRequestHeaders internal/jsontext/FuzzAppendString; do \
		$(GO) test ./$${target%/*} -run '^$$' -fuzz "^$${target#*/}$$" -fuzztime 3s -fuzzminimizetime 10x || exit 1; \
	done

soak: deps ## faults in turn for SOAK, and a summary of what was handed out meanwhile
	$(GO) test -tags real -race -count=1 -timeout 0 -run '^TestSoak$$' -v ./internal/e2e -soak $(SOAK)

bench: deps build ## farebox beside what it is held to; POINT=3 for one point, BRIEF=1 for short rounds
	@$(GO) run ./bench -farebox ./farebox $(if $(POINT),-point $(POINT)) $(if $(BRIEF),-brief)

screenshots: deps ## pictures of the page for the README
	mkdir -p docs/images
	$(GO) test -tags real -count=1 -run '^TestThePageInPictures$$' ./internal/e2e -screenshots $(CURDIR)/docs/images

image: ## the container images: farebox for production, farebox-dev
	docker build --build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) -t farebox .
	docker build --build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) --target dev -t farebox-dev .

release: ## binaries for every platform into dist/, with checksums and bills of materials
	VERSION=$(VERSION) COMMIT=$(COMMIT) scripts/release.sh
