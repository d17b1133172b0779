package hostcall

import (
	"encoding/binary"
	"time"
)

// Session is a bound session key, as one instance leaves it to the others.
type Session struct {
	RenewAt   time.Time // milliseconds count
	NotAfter  time.Time
	Secret    []byte // SeedSize bytes
	ES256     bool   // else EdDSA
	InlineJWK bool
	Binding   string // of entries' headers, or ""
}

// String hides the key from logs.
func (Session) String() string { return "hostcall.Session" }

// GoString hides the key from logs.
func (Session) GoString() string { return "hostcall.Session" }

const (
	sessionHead  = 1 + 8 + 8 + SeedSize
	keepsSession = 1
	es256Flag    = 2
	jwkFlag      = 4
)

// AppendSession lays out the argument that keeps a session: flags, int64
// milliseconds of RenewAt and of NotAfter, the secret, the binding.
func AppendSession(dst []byte, s *Session) []byte {
	flags := byte(keepsSession)
	if s.ES256 {
		flags |= es256Flag
	}
	if s.InlineJWK {
		flags |= jwkFlag
	}
	dst = append(dst, flags)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(s.RenewAt.UnixMilli()))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(s.NotAfter.UnixMilli()))
	dst = append(dst, s.Secret...)
	return append(dst, s.Binding...)
}

// DropSession is the argument after which none is kept.
func DropSession() []byte { return []byte{0} }

// ParseSession reads what AppendSession wrote; nil where it is none.
func ParseSession(b []byte) *Session {
	if len(b) < sessionHead || b[0]&keepsSession == 0 {
		return nil
	}
	at := func(i int) time.Time {
		return time.UnixMilli(int64(binary.LittleEndian.Uint64(b[i:]))) //nolint:gosec // as AppendSession wrote it
	}
	return &Session{
		ES256: b[0]&es256Flag != 0, InlineJWK: b[0]&jwkFlag != 0,
		RenewAt: at(1), NotAfter: at(9), Secret: b[17:sessionHead:sessionHead], Binding: string(b[sessionHead:]),
	}
}
