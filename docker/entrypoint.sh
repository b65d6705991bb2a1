#!/bin/sh
# The entry point of the image: the springhouse command. Before `serve` it says which admin token is in force, and what to mount if
# there is no configuration.
set -eu
app=$(dirname "$0")/..
file=/app/config/springhouse.yaml

# The compose file names this file, so that `docker compose exec proxy springhouse stats` finds the token too.
own=${OWN_TOKEN_FILE:-/tmp/admin-token}
if [ "${1:-}" = serve ] && [ "${SPRINGHOUSE_ADMIN_TOKEN_FILE:-}" = "$own" ]; then
  umask 077
  if [ -n "${ADMIN_TOKEN:-}" ]; then
    printf '%s\n' "$ADMIN_TOKEN" > "$own"
    echo 'admin token in force: the one that SPRINGHOUSE_ADMIN_TOKEN gives (.env, or the environment of docker compose)'
  else
    token=$(node -p 'require("node:crypto").randomBytes(24).toString("hex")')
    printf '%s\n' "$token" > "$own"
    echo "admin token in force, made for this start: $token"
    echo "  to keep it over restarts, put this line into .env: SPRINGHOUSE_ADMIN_TOKEN=$token"
  fi
  unset ADMIN_TOKEN
elif [ "${1:-}" = serve ] && [ -n "${SPRINGHOUSE_ADMIN_TOKEN_FILE:-}" ]; then
  echo "admin token in force: the one in $SPRINGHOUSE_ADMIN_TOKEN_FILE"
fi

# The default arguments, and nothing mounted.
if [ "$*" = "serve --config $file" ] && [ ! -e "$file" ]; then
  if [ -n "${SPRINGHOUSE_ORIGINS:-}${SPRINGHOUSE_ORIGINS_FILE:-}${SPRINGHOUSE_CONFIG:-}" ]; then
    set -- serve
  else
    cat >&2 <<'END'
springhouse: there is no configuration. Give one in one of three ways:
  a folder that holds springhouse.yaml:   docker run -v ./config:/app/config:ro -p 127.0.0.1:8080:8080 springhouse
  an origin:                              docker run -p 127.0.0.1:8080:8080 springhouse serve --origin http://api:3000
  the environment:                        docker run -e SPRINGHOUSE_ORIGINS='{ api: { servers: [ http://api:3000 ] } }' springhouse
Every setting: config/reference.md. With Redis and demo backends: docker compose up, in the repository.
END
    exit 1
  fi
fi

exec node "$app/dist/cli/main.js" "$@"
