package telemetry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"farebox/internal/secret"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Collector is where traces go, by OTLP over HTTP.
type Collector struct {
	URL     string // whole
	Headers map[string]secret.Text
	Timeout time.Duration
}

// uploader implements otlptrace.Client. The library's own for HTTP brings gRPC
// with it, which is heavier than all that is traced here.
type uploader struct {
	to   Collector
	http *http.Client
	log  *slog.Logger
	lost atomic.Bool // the last batch
}

func newUploader(to Collector, log *slog.Logger) *uploader {
	return &uploader{to: to, log: log, http: &http.Client{
		Timeout: to.Timeout, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Start implements otlptrace.Client.
func (*uploader) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (u *uploader) Stop(context.Context) error {
	u.http.CloseIdleConnections()
	return nil
}

// UploadTraces implements otlptrace.Client. What the collector does not take is
// lost, and said once.
func (u *uploader) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	err := u.upload(ctx, spans)
	if failed := err != nil; failed != u.lost.Swap(failed) {
		if failed {
			u.log.WarnContext(ctx, "traces cannot be delivered; they are lost", "error", err)
		} else {
			u.log.InfoContext(ctx, "traces are delivered again")
		}
	}
	return nil
}

func (u *uploader) upload(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// In bytes it is the same as ExportTraceServiceRequest.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return errors.New("they cannot be encoded")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.to.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("the collector's address is no good")
	}
	for name, value := range u.to.Headers {
		request.Header.Set(name, value.Reveal())
	}
	request.Header.Set("Content-Type", "application/x-protobuf")
	answer, err := u.http.Do(request)
	if err != nil {
		return errors.New("the collector cannot be reached")
	}
	defer answer.Body.Close()
	const enough = 64 << 10
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, enough))
	if answer.StatusCode >= 300 {
		return errors.New("the collector answers " + http.StatusText(answer.StatusCode))
	}
	return nil
}
