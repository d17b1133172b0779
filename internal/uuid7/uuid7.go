// Package uuid7 makes and checks UUIDs of version 7 (RFC 9562 section 5.7).
package uuid7

import (
	"encoding/hex"
	"io"
	"time"
)

// New returns a UUID v7 in lower case: 48 bits of t in milliseconds, 74 random bits.
func New(t time.Time, random io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[6:]); err != nil {
		return "", err
	}
	ms := uint64(t.UnixMilli())
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i)) //nolint:gosec // one byte of the time is meant
	}
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	return format(b), nil
}

func format(b [16]byte) string {
	var s [36]byte
	hex.Encode(s[:], b[:4])
	hex.Encode(s[9:], b[4:6])
	hex.Encode(s[14:], b[6:8])
	hex.Encode(s[19:], b[8:10])
	hex.Encode(s[24:], b[10:])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}

// Valid reports whether s is a UUID v7 of the RFC 9562 variant in lower case.
func Valid(s string) bool { return valid(s, '7') }

// ValidV4 reports whether s is a UUID v4 of the RFC 9562 variant in lower case.
func ValidV4(s string) bool { return valid(s, '4') }

func valid(s string, version byte) bool {
	if len(s) != 36 || s[14] != version {
		return false
	}
	if c := s[19]; c != '8' && c != '9' && c != 'a' && c != 'b' {
		return false
	}
	for i := range len(s) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return false
			}
			continue
		}
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// NewV4 returns a UUID v4 in lower case (RFC 9562 section 5.4).
func NewV4(random io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", err
	}
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return format(b), nil
}
