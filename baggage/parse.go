package baggage

import (
	"encoding/base64"
	"slices"
	"strings"

	"kest.example/kest"
	"kest.example/kest/internal/inflate"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/uuid7"
)

// ReadOptions say what is accepted.
type ReadOptions struct {
	MaxBytes int  // of a passport's wire form, decompressed as well; 0 is 1 MiB
	Entries  int  // of a passport; 0 is 256
	Python   bool // accept several carriers and an unencoded kest.passport=[…]
	Strip    bool // drop kest.* as an edge does: nothing of it is read
}

// Incoming is what the baggage of one request says. Nothing in it is verified.
type Incoming struct {
	Passport kest.Passport // empty until the claim is resolved, where there is one
	Claim    string        // the UUID of a claim that must be fetched and given to Resolve, or ""
	Actor    kest.Actor
	JWT      string
	Scope    string

	options  ReadOptions
	others   []string
	tips     []string
	hasTip   bool
	carriers []kest.Passport
	present  bool
}

// Parse reads all baggage headers of a request. The error is an *Error.
func Parse(headers []string, options ReadOptions) (*Incoming, error) {
	if options.MaxBytes == 0 {
		options.MaxBytes = kest.DefaultLimits().Bytes
	}
	if options.Entries == 0 {
		options.Entries = kest.DefaultLimits().Entries
	}
	in := &Incoming{options: options}
	if options.Python {
		var err error
		if headers, err = in.takeUnencoded(headers); err != nil {
			return nil, err
		}
	}
	seen := make(map[string]bool)
	list := split(headers)
	if len(list) > maxRead {
		return nil, malformed("too many members")
	}
	for _, m := range list {
		if m.disguised() {
			// Who decodes names would take it for ours.
			if options.Strip {
				continue
			}
			return nil, malformed("a member whose name is Kest's only when decoded")
		}
		if !m.isKest() {
			in.others = append(in.others, m.raw)
			continue
		}
		if options.Strip {
			continue
		}
		if m.bare {
			return nil, malformed(m.key + " has no value")
		}
		if seen[m.key] {
			return nil, malformed("two members " + m.key)
		}
		seen[m.key] = true
		if err := in.take(m); err != nil {
			return nil, err
		}
	}
	if err := in.settle(); err != nil {
		return nil, err
	}
	return in, nil
}

func (in *Incoming) take(m member) error {
	if m.key == Passport {
		// A blank may come as "+"; no compact JWS has one.
		if strings.IndexByte(m.value, '+') >= 0 {
			m.value = strings.ReplaceAll(m.value, "+", " ")
		}
	}
	value, ok := decode(m.value)
	if !ok {
		return malformed(m.key + " is not percent-encoded UTF-8")
	}
	switch m.key {
	case Passport:
		return in.carrier(value)
	case PassportZ:
		text, err := decompress(value, in.options.MaxBytes)
		if err != nil {
			return err
		}
		return in.carrier(text)
	case ClaimCheck:
		if !uuid7.ValidV4(value) {
			return malformed(ClaimCheck + " is no UUID v4")
		}
		in.Claim = value
	case ChainTip:
		in.hasTip = true
		if value != "" {
			in.tips = strings.Split(value, ",")
		}
	case User:
		in.Actor.User = value
	case Agent:
		in.Actor.Agent = value
	case Task:
		in.Actor.Task = value
	case JWT:
		in.JWT = value
	case Scope:
		in.Scope = value
	default:
		in.others = append(in.others, m.raw)
	}
	return nil
}

func (in *Incoming) carrier(text string) error {
	if len(text) > in.options.MaxBytes {
		return refused("the passport is over the limit of bytes")
	}
	p, err := kest.ParsePassportWithin(text, in.options.Entries)
	if fault := kest.AsVerificationError(err); fault != nil && fault.Reason == kest.ReasonLimit {
		return &Error{Kind: KindRefused, Detail: "the passport", Err: err}
	}
	if err != nil {
		return &Error{Kind: KindMalformed, Detail: "the passport", Err: err}
	}
	in.carriers = append(in.carriers, p)
	return nil
}

// settle decides which carrier counts, once all members are read.
func (in *Incoming) settle() error {
	n := len(in.carriers)
	if in.Claim != "" {
		n++
	}
	switch {
	case n > 1 && !in.options.Python:
		return malformed("two carriers of a passport")
	case n == 0 && len(in.tips) > 0:
		return refused("a chain tip without a passport")
	case in.Claim != "":
		return nil // Resolve goes on
	}
	return in.choose()
}

// Resolve takes the text that the cache holds for Claim.
func (in *Incoming) Resolve(text []byte) error {
	if err := in.carrier(string(text)); err != nil {
		return err
	}
	in.Claim = ""
	return in.choose()
}

// choose takes the strongest carrier; with accept: python the weaker ones must
// be its beginnings and the tip its last entry.
func (in *Incoming) choose() error {
	if len(in.carriers) == 0 {
		return nil
	}
	in.present = true
	for _, p := range in.carriers {
		if p.Len() >= in.Passport.Len() {
			in.Passport = p
		}
	}
	if len(in.carriers) == 1 {
		return nil
	}
	entries := in.Passport.Entries()
	for _, p := range in.carriers {
		if weaker := p.Entries(); !slices.Equal(weaker, entries[:len(weaker)]) {
			return refused("two carriers that contradict each other")
		}
	}
	if n := len(entries); n > 0 && !slices.Equal(in.tips, []string{kest.Hash(entries[n-1])}) {
		return refused("of several carriers the strongest does not end in the chain tip")
	}
	if len(entries) > 0 {
		in.hasTip = false // it was the last entry
	}
	return nil
}

// Adopt takes a passport that did not come in a header but is kept in this
// process. Its tips are its leaves.
func (in *Incoming) Adopt(p kest.Passport) { in.Passport = p }

// CheckTip refuses a chain tip that isn't exactly the lineage's set of leaves.
// A passport without a chain tip is fine.
func (in *Incoming) CheckTip(l *kest.Lineage) error {
	if !in.hasTip {
		return nil
	}
	want, have := l.Leaves(), slices.Clone(in.tips)
	jcs.SortStrings(want)
	jcs.SortStrings(have)
	if !slices.Equal(want, have) {
		return refused("the chain tip is not the passport's set of leaves")
	}
	return nil
}

// takeUnencoded finds kest.passport=[…] as the Python library writes it, with
// commas and quotes in the clear, and takes it out of the headers.
func (in *Incoming) takeUnencoded(headers []string) ([]string, error) {
	const start = Passport + "=["
	headers = slices.Clone(headers)
	for i, h := range headers {
		at := strings.Index(h, start)
		if at < 0 || strings.Trim(lastMember(h[:at]), " \t") != "" {
			continue
		}
		end := strings.IndexByte(h[at:], ']')
		if end < 0 {
			return nil, malformed("an unencoded passport without an end")
		}
		if !strings.Contains(h[at:at+end], `"`) {
			continue // encoded after all
		}
		if !in.options.Strip {
			if err := in.carrier(h[at+len(start)-1 : at+end+1]); err != nil {
				return nil, err
			}
		}
		headers[i] = h[:at] + h[at+end+1:]
	}
	return headers, nil
}

// lastMember returns what stands behind the last comma.
func lastMember(s string) string { return s[strings.LastIndexByte(s, ',')+1:] }

// A passport is mostly signatures and hashes and shrinks to a half or a third.
// What would grow more than this is made to cost work, and refused on the way.
const (
	maxInflation  = 24
	leastInflated = 64 << 10
)

// decompress undoes kest.passport_z. Padding is accepted; what decompresses to
// more than limit bytes is refused before it is held.
func decompress(value string, limit int) (string, error) {
	stream, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(value, "="))
	if err != nil || strings.ContainsAny(value, "\r\n") {
		return "", malformed(PassportZ + " is no base64url")
	}
	text, err := inflate.Zlib(stream, min(limit, max(leastInflated, maxInflation*len(stream))))
	if err != nil {
		return "", &Error{Kind: KindMalformed, Detail: PassportZ, Err: err}
	}
	return string(text), nil
}
