package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

func t(id string) chromedp.CSS { return chromedp.CSS(`[data-testid="` + id + `"]`) }

// drive URL OUT theme width scenario
func main() {
	url, out, theme := os.Args[1], os.Args[2], os.Args[3]
	width, _ := strconv.ParseInt(os.Args[4], 10, 64)
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("/usr/bin/chromium"), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("use-fake-ui-for-media-stream", true), chromedp.Flag("use-fake-device-for-media-stream", true))
	ctx, c1 := chromedp.NewExecAllocator(context.Background(), opts...)
	defer c1()
	ctx, c2 := chromedp.NewContext(ctx)
	defer c2()
	ctx, c3 := context.WithTimeout(ctx, 90*time.Second)
	defer c3()
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			fmt.Println("console:", m)
		}
	}()
	step := func(name string, a ...chromedp.Action[chromedp.Void]) {
		if err := chromedp.Do(ctx, a...); err != nil {
			ctx2, c := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer c()
			png, _ := chromedp.Run(ctx2, chromedp.FullScreenshot(100))
			os.WriteFile(out+"-fail.png", png, 0o644)
			log.Fatal(name, ": ", err)
		}
		fmt.Println("ok", name)
	}
	text := func(id string) string {
		s, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector('`+string(t(id))+`')?.textContent ?? "(none)"`))
		return s
	}
	shot := func(name string) {
		png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		fmt.Println("shot", name, err)
		os.WriteFile(out+"-"+name+".png", png, 0o644)
	}
	chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}})
	chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 900, DeviceScaleFactor: 1, Mobile: width < 500})
	step("open", chromedp.Navigate(url), chromedp.WaitVisible(t("sign-in-name")))
	shot("start")
	if len(os.Args) > 5 && os.Args[5] == "start" {
		return
	}
	step("sign in", chromedp.Click(t("sign-in-button")), chromedp.WaitVisible(t("signed-in")))
	step("print", chromedp.Click(t("machine-realtime_scribe")), chromedp.WaitVisible(chromedp.CSS(`[data-state=fresh][data-type=realtime_scribe]`)))
	step("speak", chromedp.Click(t("speak-sample")), chromedp.WaitVisible(t("transcript-partial")+":not(:empty)"))
	shot("speaking")
	step("committed", chromedp.WaitVisible(t("transcript-committed")+" p"), chromedp.WaitVisible(chromedp.CSS(`[data-state=used][data-type=realtime_scribe]`)))
	fmt.Println(text("transcript-committed"))
	step("again", chromedp.Click(t("ticket-try-again")), chromedp.WaitVisible(chromedp.CSS(`[data-state=refused]`)))
	fmt.Println(text("ticket"))
	fmt.Println(text("exchange-socket"))
	step("speech", chromedp.Click(t("speech-play")), chromedp.WaitVisible(chromedp.CSS(`[data-testid=speech-status][data-state=done]`)))
	fmt.Println(text("speech-status"))
	step("file", chromedp.Click(t("file-sample")), chromedp.WaitVisible(t("file-result")+":not(:empty)"))
	fmt.Println(text("file-result"))
	fmt.Println(text("exchange-request"), "\n--\n", text("exchange-response"), "\n--\n", text("exchange-curl"))
	step("tts ticket again", chromedp.Click(chromedp.CSS(`[data-state=used][data-type=tts_websocket] button`)), chromedp.WaitVisible(chromedp.CSS(`[data-state=refused][data-type=tts_websocket]`)))
	step("batch ticket again", chromedp.Click(chromedp.CSS(`[data-state=used][data-type=batch_scribe] button`)), chromedp.WaitVisible(chromedp.CSS(`[data-state=refused][data-type=batch_scribe]`)))
	step("print fresh", chromedp.Click(t("machine-tts_websocket")), chromedp.WaitVisible(chromedp.CSS(`[data-state=fresh]`)))
	fmt.Println(text("exchange-request"), "\n--\n", text("exchange-response"), "\n--\n", text("exchange-curl"))
	step("mic", chromedp.Click(t("speak-mic")), chromedp.WaitVisible(t("transcript-partial")+":not(:empty)"), chromedp.Sleep(1500*time.Millisecond))
	shot("mic")
	step("mic stop", chromedp.Click(t("speak-stop")), chromedp.WaitEnabled(t("speak-mic")))
	fmt.Println("mic:", text("transcript-committed"))
	for _, name := range []string{"session-over", "session-damaged", "session-missing", "vendor-away", "vendor-refuses", "vendor-odd", "key-reused", "malformed", "unknown-type", "wrong-method", "too-many"} {
		step("provoke "+name, chromedp.Click(t("provoke-"+name)), chromedp.WaitNotPresent(chromedp.CSS(`[aria-busy=true]`)))
		code, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector('.problem')?.dataset.code ?? "none"`))
		fmt.Println("   ", code, "|", text("error"))
	}
	shot("end")
	overflow, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.documentElement.scrollWidth + " of " + innerWidth`))
	fmt.Println("width", overflow)
}
