package secretscan

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/hex"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// minRun is how many characters an encoded text must have to be decoded.
const minRun = 24

// maxInflated bounds what a compressed text may become.
const maxInflated = 4 << 20

// decoded gives all that data may be an encoding of.
func decoded(data []byte, give func(encoding string, inner []byte)) {
	if joined := joiner.Replace(string(data)); len(joined) < len(data) {
		give("lines", []byte(joined))
	}
	if bytes.IndexByte(data, '%') >= 0 {
		give("percent-encoding", unpercent(data))
		give("a query", unpercent(bytes.ReplaceAll(data, []byte("+"), []byte(" "))))
	}
	if bytes.Contains(data, []byte(`\x`)) || bytes.Contains(data, []byte(`\u00`)) {
		give("%q", unquote(data))
	}
	for _, list := range numberList.FindAllString(string(data), -1) {
		items := numberInList.FindAllString(strings.ReplaceAll(list, "0x", ""), -1)
		give("a list", fromList(items, 10))
		give("a list", fromList(items, 16))
	}
	runs(data, isBase64, minRun, func(run []byte) {
		if hexes := hexRun(run); hexes != nil {
			return // as hex, below
		}
		standard := toStandard.Replace(string(run))
		for skip := range min(4, len(run)) {
			inner := standard[skip:]
			inner = inner[:len(inner)-b2i(len(inner)%4 == 1)]
			if raw, err := base64.RawStdEncoding.DecodeString(inner); err == nil {
				give("base64", raw)
			}
		}
	})
	runs(data, isHex, 2*MinSecret, func(run []byte) {
		for skip := range 2 {
			if raw := hexRun(run[skip:]); raw != nil {
				give("hex", raw)
			}
		}
	})
	for _, skip := range []int{2, 10} { // the heads of zlib (RFC 1950) and gzip (RFC 1952)
		if len(data) > skip && (data[0] == 0x78 || data[0] == 0x1f && data[1] == 0x8b) {
			inner, _ := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(data[skip:])), maxInflated))
			give("deflate", inner) // as far as it goes
		}
	}
}

var toStandard = strings.NewReplacer("-", "+", "_", "/")

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func isBase64(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("+/-_", c) >= 0
}

// runs gives each longest run of characters of a kind that has the length.
func runs(data []byte, kind func(byte) bool, least int, give func(run []byte)) {
	start := 0
	for i := 0; i <= len(data); i++ {
		if i < len(data) && kind(data[i]) {
			continue
		}
		if i-start >= least {
			give(data[start:i])
		}
		start = i + 1
	}
}

// hexRun decodes what is hex to its last pair, else nil.
func hexRun(run []byte) []byte {
	raw, err := hex.DecodeString(string(run[:len(run)/2*2]))
	if err != nil || len(raw) < MinSecret {
		return nil
	}
	return raw
}

// joiner takes the ends of lines out, which break PEM, also as JSON and %q write them.
var joiner = strings.NewReplacer("\n", "", "\r", "", `\n`, "", `\r`, "")

// numberList is bytes as %v, %#v and JSON write them, and hex with anything between.
var numberList = regexp.MustCompile(`\b(?:(?:0x)?[0-9a-fA-F]{1,3}(?:, |,| |:)){11,}(?:0x)?[0-9a-fA-F]{1,3}\b`)

var numberInList = regexp.MustCompile(`[0-9a-fA-F]+`)

// fromList reads bytes of a base; nil where one is none.
func fromList(items []string, base int) []byte {
	out := make([]byte, len(items))
	for i, item := range items {
		n, err := strconv.ParseUint(item, base, 8)
		if err != nil {
			return nil
		}
		out[i] = byte(n)
	}
	return out
}

// unquote decodes what %q and JSON escape, and leaves the rest.
func unquote(data []byte) []byte {
	out, rest := make([]byte, 0, len(data)), string(data)
	for rest != "" {
		r, wide, tail, err := strconv.UnquoteChar(rest, '"')
		switch {
		case err != nil:
			out, rest = append(out, rest[0]), rest[1:]
			continue
		case wide:
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, byte(r)) //nolint:gosec // \xNN
		}
		rest = tail
	}
	return out
}

// unpercent decodes what is percent-encoded and leaves the rest.
func unpercent(data []byte) []byte {
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); i++ {
		if data[i] == '%' && i+2 < len(data) && isHex(data[i+1]) && isHex(data[i+2]) {
			raw, _ := hex.DecodeString(string(data[i+1 : i+3]))
			out = append(out, raw...)
			i += 2
			continue
		}
		out = append(out, data[i])
	}
	return out
}
