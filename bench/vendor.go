package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// vendor is the sandbox as a process of its own, the same for all programs.
type vendor struct {
	*process
	b   *bench
	url string
}

func (b *bench) startVendor(ctx context.Context) (*vendor, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	v := &vendor{b: b, url: "http://" + addr}
	return v, v.launch(ctx, addr)
}

func (v *vendor) launch(ctx context.Context, addr string) (err error) {
	v.process, err = launch(ctx, v.b.logs, "sandbox", addr, []string{"FAREBOX_SANDBOX_LISTEN=" + addr}, v.b.farebox, "sandbox")
	return err
}

// delay has each mint take so long from now on.
func (v *vendor) delay(ctx context.Context, d time.Duration) error {
	if err := v.behave(ctx); err != nil || d == 0 {
		return err
	}
	return v.inject(ctx, map[string]any{"operation": "mint", "fault": "delay", "delay_ms": d.Milliseconds()})
}

// refuse has the vendor refuse every mint from now on.
func (v *vendor) refuse(ctx context.Context) error {
	return v.inject(ctx, map[string]any{"operation": "mint", "fault": "unavailable"})
}

// behave ends what it was told to do wrong.
func (v *vendor) behave(ctx context.Context) error {
	_, err := v.control(ctx, http.MethodDelete, "faults", nil)
	return err
}

func (v *vendor) inject(ctx context.Context, fault map[string]any) error {
	body, err := json.Marshal(fault)
	if err != nil {
		return err
	}
	_, err = v.control(ctx, http.MethodPost, "faults", body)
	return err
}

// calls is how many calls the vendor has had, its own count.
func (v *vendor) calls(ctx context.Context) (int, error) {
	data, err := v.control(ctx, http.MethodGet, "calls", nil)
	if err != nil {
		return 0, err
	}
	var record struct {
		Calls []struct {
			Seq int `json:"seq"`
		} `json:"calls"`
	}
	if err := json.Unmarshal(data, &record); err != nil || len(record.Calls) == 0 {
		return 0, err
	}
	return record.Calls[len(record.Calls)-1].Seq, nil
}

func (v *vendor) control(ctx context.Context, method, what string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, v.url+"/_sandbox/"+what, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("the sandbox answers %s: %s", resp.Status, data)
	}
	return data, err
}
