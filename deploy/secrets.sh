#!/bin/sh
# Makes the secrets of compose.yaml, in secrets/ beside it or in the folder that
# is named. What is there already stays as it is.
set -eu
cd "${1:-"$(dirname "$0")"}"
umask 077
mkdir -p secrets
cd secrets

[ -s farebox_secret ] || openssl rand -base64 32 >farebox_secret
if [ ! -s redis_url ] || [ ! -s redis_users ]; then
	password=$(openssl rand -hex 32)
	hash=$(printf %s "$password" | openssl dgst -sha256 -r | cut -d' ' -f1)
	printf 'redis://farebox:%s@redis:6379/0\n' "$password" >redis_url
	# The rights are those of docs/redis.md.
	cat >redis_users <<END
user default on nopass resetkeys resetchannels -@all +ping
user farebox on #$hash resetkeys ~{farebox:* resetchannels -@all +hello +evalsha +eval +time +info +exists +get +mget +set +del +unlink +pexpire +pttl +lpop +rpush +llen +lindex +sadd +smismember +zadd +zcard +zrem +zremrangebyscore +hset +hgetall +hdel +xadd +xrange
END
fi
[ -s elevenlabs_api_key ] || echo "Put the vendor's key into $(pwd)/elevenlabs_api_key" >&2

# The containers run as users of their own, which have to read these files. The
# folder keeps others on this machine out.
chmod 444 -- *
