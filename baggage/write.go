package baggage

import (
	"io"
	"slices"
	"strings"
	"unsafe"

	"kest.example/kest"
	"kest.example/kest/internal/base64url"
	"kest.example/kest/internal/uuid7"
)

// Bounds of what is written (CONTRACT 9).
const (
	MaxMember  = 4096 // bytes of one member name=value, encoded
	MaxTotal   = 8192 // bytes of the whole header
	MaxMembers = 180
)

// WriteOptions say how a passport travels.
type WriteOptions struct {
	MaxBytes int       // of one member; 0 is MaxMember
	Compress bool      // kest.passport_z may be used
	Deflate  Deflater  // nil is compress/zlib, which a guest does without
	Claims   bool      // a cache for claim checks is there
	Random   io.Reader // of claim ids
}

// Deflater compresses to a zlib stream (RFC 1950); ok is false where it can't.
type Deflater func(text []byte) (stream []byte, ok bool)

// Outgoing is what a request says onward.
type Outgoing struct {
	Lineage *kest.Lineage
	Actor   kest.Actor
	JWT     string
	Scope   string
}

// Claim is a passport that must be stored before the request goes on.
type Claim struct {
	ID   string // UUID v4
	Body string // the passport's wire form
}

// Write returns the one baggage header that replaces all incoming ones: kest.*
// first, then the other members of the request unchanged. Where the passport
// fits in no header, the claim must be stored first. The error is an *Error.
func (in *Incoming) Write(out Outgoing, options WriteOptions) (header string, claim *Claim, err error) {
	if options.MaxBytes == 0 {
		options.MaxBytes = MaxMember
	}
	w := writer{limit: max(MaxTotal, 2*options.MaxBytes)}
	if out.Lineage != nil && out.Lineage.Len() > 0 {
		if claim, err = w.carrier(out.Lineage.Passport(), options); err != nil {
			return "", nil, err
		}
		w.add(ChainTip, strings.Join(out.Lineage.Leaves(), ","))
	}
	for _, m := range [...]struct{ name, value string }{
		{User, out.Actor.User},
		{Agent, out.Actor.Agent},
		{Task, out.Actor.Task},
		{JWT, out.JWT},
		{Scope, out.Scope},
	} {
		if m.value != "" {
			w.add(m.name, m.value)
		}
	}
	if len(w.b) > w.limit {
		return "", nil, &Error{Kind: KindRefused, Detail: "the members of Kest alone are over the bound"}
	}
	w.rest(in.others)
	return unsafe.String(unsafe.SliceData(w.b), len(w.b)), claim, nil //nolint:gosec // nobody writes it any more
}

// Others returns the header without anything of kest.*, as an edge sends it to
// hosts outside its allow list; "" when nothing is left.
func (in *Incoming) Others() string {
	w := writer{limit: MaxTotal}
	for _, raw := range in.others {
		if !(member{key: raw}).isKest() {
			w.rest([]string{raw})
		}
	}
	return string(w.b)
}

type writer struct {
	b     []byte
	n     int
	limit int
}

func (w *writer) add(name, value string) {
	w.comma()
	w.b = append(append(w.b, name...), '=')
	w.b = appendEncoded(w.b, value)
}

func (w *writer) comma() {
	if w.n > 0 {
		w.b = append(w.b, ',')
	}
	w.n++
}

// rest adds other people's members as long as they fit (W3C Baggage section 3.3.2).
func (w *writer) rest(others []string) {
	for _, raw := range others {
		if w.n >= MaxMembers || len(w.b)+1+len(raw) > w.limit {
			return
		}
		w.comma()
		w.b = append(w.b, raw...)
	}
}

// carrier writes exactly one of the three.
func (w *writer) carrier(p kest.Passport, options WriteOptions) (*Claim, error) {
	if entries := p.Entries(); encodedSize(entries) <= options.MaxBytes {
		w.plain(entries)
		return nil, nil
	}
	text := p.String()
	if z := compressed(text, options); z != "" && len(PassportZ)+1+len(z) <= options.MaxBytes {
		w.add(PassportZ, z)
		return nil, nil
	}
	if !options.Claims {
		return nil, &Error{Kind: KindUnavailable, Detail: "the passport fits in no header and no claim check is configured"}
	}
	id, err := uuid7.NewV4(options.Random)
	if err != nil {
		return nil, &Error{Kind: KindUnavailable, Detail: "randomness", Err: err}
	}
	w.add(ClaimCheck, id)
	return &Claim{ID: id, Body: text}, nil
}

// Punctuation of the wire form, percent-encoded.
const (
	quote = "%22"
	comma = "%2C"
)

// encodedSize is the length of the member kest.passport with these entries. A
// compact JWS, as every entry of a lineage is, has no byte to encode.
func encodedSize(entries []string) int {
	size := len(Passport) + len("=[]") + len(comma)*max(0, len(entries)-1)
	for _, e := range entries {
		size += len(e) + 2*len(quote)
	}
	return size
}

// plain writes kest.passport.
func (w *writer) plain(entries []string) {
	w.comma()
	w.b = slices.Grow(w.b, encodedSize(entries)+256)
	w.b = append(w.b, Passport+"=["...)
	for i, e := range entries {
		if i > 0 {
			w.b = append(w.b, comma...)
		}
		w.b = append(append(append(w.b, quote...), e...), quote...)
	}
	w.b = append(w.b, ']')
}

// maxRatio is how much more than a member's bound is worth trying to compress:
// signatures and hashes are most of a passport, and they don't shrink.
const maxRatio = 4

func compressed(text string, options WriteOptions) string {
	if !options.Compress || len(text) > maxRatio*options.MaxBytes {
		return ""
	}
	deflater := options.Deflate
	if deflater == nil {
		deflater = deflate
	}
	stream, ok := deflater([]byte(text))
	if !ok {
		return ""
	}
	return string(base64url.AppendEncode(nil, stream))
}
