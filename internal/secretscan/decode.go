package secretscan

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/hex"
	"io"
	"strings"
)

// minRun is how many characters an encoded text must have to be decoded.
const minRun = 24

// maxInflated bounds what a compressed text may become.
const maxInflated = 4 << 20

// decoded gives all that data may be an encoding of.
func decoded(data []byte, give func(encoding string, inner []byte)) {
	if joined := join(data); len(joined) < len(data) {
		give("lines", joined)
	}
	if bytes.IndexByte(data, '%') >= 0 {
		give("percent-encoding", unpercent(data))
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

// join takes the ends of lines out, as they break PEM, and as JSON and %q write them.
func join(data []byte) []byte {
	return []byte(joiner.Replace(string(data)))
}

var joiner = strings.NewReplacer("\n", "", "\r", "", "\t", "", " ", "", `\n`, "", `\r`, "", `\t`, "")

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
