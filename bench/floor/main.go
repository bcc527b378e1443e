// Command floor is the least that a service on Echo and Redis can cost: the
// bytes that farebox answers, after one call of a script by plain go-redis. It
// looks at no session, keeps no limit, and its tokens are numbers.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/redis/go-redis/v9"
)

type answer struct {
	Token            string `json:"token"`
	TokenType        string `json:"token_type"`
	ExpiresAt        string `json:"expires_at"`
	ExpiresIn        int64  `json:"expires_in"`
	BaseURL          string `json:"base_url"`
	WebSocketBaseURL string `json:"websocket_base_url"`
	TokenParameter   string `json:"token_parameter"`
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "the address to listen at")
	url := flag.String("redis", "redis://127.0.0.1:6379", "the address of Redis")
	flag.Parse()
	options, err := redis.ParseURL(*url)
	if err != nil {
		log.Fatal(err)
	}
	client := redis.NewClient(options)
	script := redis.NewScript(`return redis.call('INCR', KEYS[1])`)
	keys := []string{"{floor:0}:n"}

	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.POST("/v1/single-use-token/:token_type", func(c echo.Context) error {
		n, err := script.Run(c.Request().Context(), client, keys).Int64()
		if err != nil {
			return err
		}
		h := c.Response().Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Pragma", "no-cache")
		h.Set("Ratelimit", `"per_user";r=999999;t=1, "per_user_daily";r=999999999;t=40000`)
		h.Set("Ratelimit-Policy", `"per_user";q=1000000;w=1, "per_user_daily";q=1000000000;w=86400`)
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Vary", "Origin")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Request-Id", "AAAAAAAAAAAAAAAAAAAAAAAAAA")
		return c.JSON(http.StatusOK, answer{
			Token: fmt.Sprintf("sutkn_sandbox_%026d", n), TokenType: c.Param("token_type"),
			ExpiresAt: "2026-11-24T10:15:00Z", ExpiresIn: 899,
			BaseURL: "http://127.0.0.1:12345", WebSocketBaseURL: "ws://127.0.0.1:12345", TokenParameter: "token",
		})
	})
	log.Fatal(e.Start(*listen))
}
