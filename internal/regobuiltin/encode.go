package regobuiltin

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

func base64URL(c *call) *Value {
	return stringValue(base64.RawURLEncoding.EncodeToString([]byte(c.str(0))))
}

func hexEncode(c *call) *Value { return hexValue([]byte(c.str(0))) }

func hexValue(b []byte) *Value { return stringValue(hex.EncodeToString(b)) }

func hexDecode(c *call) *Value {
	b, err := hex.DecodeString(c.str(0))
	if err != nil {
		return c.fail()
	}
	return stringValue(string(b))
}

func sha256Hex(c *call) *Value {
	sum := sha256.Sum256([]byte(c.str(0)))
	return hexValue(sum[:])
}

const upperHex = "0123456789ABCDEF"

func queryEncode(c *call) *Value {
	s := c.str(0)
	w := writer{}
	for i := range len(s) {
		b := s[i]
		switch {
		case isAlphanumeric(b) || strings.IndexByte("-._~", b) >= 0:
			w.write(s[i : i+1])
		case b == ' ':
			w.write("+")
		default:
			w.write("%")
			w.write(upperHex[b>>4:][:1])
			w.write(upperHex[b&15:][:1])
		}
	}
	return stringValue(string(w.out))
}

func isAlphanumeric(b byte) bool { return isDigit(b) || b|0x20 >= 'a' && b|0x20 <= 'z' }

func queryDecode(c *call) *Value {
	s := strings.ReplaceAll(c.str(0), "+", " ")
	w := writer{}
	for {
		text, rest, found := cut(s, "%")
		w.write(text)
		if !found {
			return stringValue(string(w.out))
		}
		b, _ := hex.DecodeString(rest[:min(2, len(rest))])
		if len(b) == 0 {
			return c.fail()
		}
		w.write(string(b))
		s = rest[2:]
	}
}
