#!/usr/bin/env bash
#
# Builds the guests into wasm/: policy.wasm, lineage.wasm and SHA256SUMS.
#
#   ./build.sh           builds and prints the sizes
#   ./build.sh --check   also builds a copy of the tree in another directory
#                        with an empty build cache, and fails unless that gives
#                        the same bytes and the code sections are within their
#                        limits

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly guests=(policy lineage)

# max_code GUEST: the bytes that its code section may have. Envoy compiles the
# whole section before it serves, so this is a limit on start-up time.
max_code() {
  case $1 in
    policy) echo 3100000 ;;
    lineage) echo 2500000 ;;
  esac
}

# build TREE OUT: builds the guests of the tree into OUT. Everything of the
# caller's that could change the bytes is set aside. A guest runs on one thread,
# where the Green Tea collector has nothing to gain and 0.03 MB to cost. The
# symbols are there for wasmshrink, which takes them out.
build() {
  local guest
  env -u GOOS -u GOARCH go -C "$1" build -p "${JOBS:-2}" -buildvcs=false -o "$tmp/wasmshrink" ./internal/tools/wasmshrink || return
  for guest in "${guests[@]}"; do
    env -u GOWASM -u GOFIPS140 GOEXPERIMENT=nogreenteagc \
      GOOS=wasip1 GOARCH=wasm CGO_ENABLED=0 GOWORK=off GOFLAGS="-p=${JOBS:-2}" \
      go -C "$1" build -trimpath -buildvcs=false -tags force64bit \
      -ldflags='-w -buildid=' -buildmode=c-shared -o "$2/$guest.long.wasm" "./guest/$guest" || return
    "$tmp/wasmshrink" "$2/$guest.long.wasm" "$2/$guest.wasm" || return
    rm "$2/$guest.long.wasm"
  done
}

# sums: prints the SHA-256 of each guest in the current directory.
sums() {
  local files=("${guests[@]/%/.wasm}")
  if command -v sha256sum >/dev/null; then
    sha256sum -- "${files[@]}"
  else
    shasum -a 256 -- "${files[@]}"
  fi
}

# install_into DIR FROM: moves what differs, so that what didn't change keeps
# its time and nobody reads half a file.
install_into() {
  local name
  for name in "${guests[@]/%/.wasm}" SHA256SUMS; do
    cmp -s "$2/$name" "$1/$name" || mv -f "$2/$name" "$1/$name"
  done
}

# copy_tree TO: copies the sources, without what was built or fetched.
copy_tree() {
  tar -cf - --exclude=./.git --exclude=./.tools --exclude='./wasm/*.wasm' --exclude='./.wasm.new.*' . | tar -xf - -C "$1"
}

# check_same: builds once more, elsewhere and from nothing, and compares.
# It runs as an operand of ||, where `set -e` is off.
check_same() {
  local guest status=0
  echo 'building again elsewhere, from an empty cache …'
  mkdir "$tmp/copy" "$tmp/again" "$tmp/cache" || return
  copy_tree "$tmp/copy" || return
  GOCACHE=$tmp/cache build "$tmp/copy" "$tmp/again" || return
  for guest in "${guests[@]}"; do
    if cmp "wasm/$guest.wasm" "$tmp/again/$guest.wasm" >&2; then
      printf 'wasm/%s.wasm: a second build gives the same bytes\n' "$guest"
    else
      printf 'build: %s.wasm: a second build in another directory gives other bytes\n' "$guest" >&2
      status=1
    fi
  done
  return "$status"
}

check_sizes() {
  local guest status=0
  for guest in "${guests[@]}"; do
    "$tmp/wasmsize" -max-code "$(max_code "$guest")" "wasm/$guest.wasm" >/dev/null || status=1
  done
  return "$status"
}

case ${1-} in
  '' | --check) ;;
  *)
    printf 'usage: %s [--check]\n' "$0" >&2
    exit 2
    ;;
esac

if ! command -v go >/dev/null; then
  echo 'build: go is missing: install the version of Go that go.mod names, or a newer one' >&2
  exit 1
fi

mkdir -p wasm
tmp=$(mktemp -d)
new=$(mktemp -d "$PWD/.wasm.new.XXXXXX") # on the goal's file system, so that a move is a rename; not in wasm/, which Go embeds
trap 'rm -rf "$tmp" "$new"' EXIT

build . "$new"
(cd "$new" && sums >SHA256SUMS)
install_into wasm "$new"

env -u GOOS -u GOARCH go build -p "${JOBS:-2}" -buildvcs=false -o "$tmp/wasmsize" ./internal/tools/wasmsize
for guest in "${guests[@]}"; do
  "$tmp/wasmsize" "wasm/$guest.wasm"
done

if [[ ${1-} == --check ]]; then
  status=0
  check_same || status=1
  check_sizes || status=1
  exit "$status"
fi
