//go:build release

package redisconn

import (
	"errors"

	"github.com/redis/go-redis/v9"
)

// HasEmbedded says whether this build has an embedded Redis.
const HasEmbedded = false

func embedded() (*redis.Options, func(), error) {
	return nil, nil, errors.New("this build has no embedded Redis")
}
