package host

import (
	"net/http"
	"slices"
	"strings"

	"kest.example/kest/plugin/proxywasm"
)

// headerMap is a header as the guest sees and edits it: pseudo-headers first,
// names in lower case, repeated headers as repeated pairs.
type headerMap struct {
	pairs  []proxywasm.Pair
	edited bool
	pseudo []string // the pseudo-headers that it may have
}

var (
	requestPseudo  = []string{":method", ":path", ":authority", ":scheme"}
	responsePseudo = []string{":status"}
)

// fieldPairs lists a header in the order of its names. Values keep their order
// and are never joined.
func fieldPairs(pairs []proxywasm.Pair, header http.Header) []proxywasm.Pair {
	names := make([]string, 0, len(header))
	for name := range header {
		if validName(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		lower := strings.ToLower(name)
		if lower == "host" {
			continue // :authority is the one host there is
		}
		for _, value := range header[name] {
			pairs = append(pairs, proxywasm.Pair{Name: lower, Value: value})
		}
	}
	return pairs
}

// name brings a name from the guest into the form of the map. It is "" for one
// that can't be a header's.
func (m *headerMap) name(name string) string {
	name = strings.ToLower(name)
	switch {
	case slices.Contains(m.pseudo, name):
		return name
	case name == "host" && slices.Contains(m.pseudo, ":authority"):
		return ":authority"
	case name == "host" || !validName(name):
		return ""
	}
	return name
}

func (m *headerMap) get(name string) (string, bool) {
	at := m.index(name)
	if at < 0 {
		return "", false
	}
	return m.pairs[at].Value, true
}

func (m *headerMap) index(name string) int {
	return slices.IndexFunc(m.pairs, func(p proxywasm.Pair) bool { return p.Name == name })
}

func (m *headerMap) add(name, value string) proxywasm.Status {
	n := m.name(name)
	if n == "" || !validValue(value) || len(m.pairs) >= proxywasm.MaxPairs {
		return proxywasm.BadArgument
	}
	if n[0] == ':' {
		return m.replace(n, value) // there is only one of each
	}
	m.pairs = append(m.pairs, proxywasm.Pair{Name: n, Value: value})
	m.edited = true
	return proxywasm.OK
}

func (m *headerMap) replace(name, value string) proxywasm.Status {
	n := m.name(name)
	if n == "" || !validValue(value) {
		return proxywasm.BadArgument
	}
	at := m.index(n)
	m.edited = true
	if at < 0 {
		m.pairs = append(m.pairs, proxywasm.Pair{Name: n, Value: value})
		return proxywasm.OK
	}
	m.pairs[at].Value = value
	rest := slices.DeleteFunc(m.pairs[at+1:], func(p proxywasm.Pair) bool { return p.Name == n })
	m.pairs = m.pairs[:at+1+len(rest)]
	return proxywasm.OK
}

func (m *headerMap) remove(name string) proxywasm.Status {
	n := m.name(name)
	if n == "" {
		return proxywasm.BadArgument
	}
	before := len(m.pairs)
	m.pairs = slices.DeleteFunc(m.pairs, func(p proxywasm.Pair) bool { return p.Name == n })
	m.edited = m.edited || len(m.pairs) != before
	return proxywasm.OK
}

// setAll replaces the whole map, or nothing of it where a pair is not valid.
func (m *headerMap) setAll(pairs []proxywasm.Pair) proxywasm.Status {
	fresh := headerMap{pseudo: m.pseudo}
	for _, p := range pairs {
		if s := fresh.add(p.Name, p.Value); s != proxywasm.OK {
			return s
		}
	}
	m.pairs, m.edited = fresh.pairs, true
	return proxywasm.OK
}

// header returns the fields without the pseudo-headers, under Go's names.
func (m *headerMap) header() http.Header {
	h := make(http.Header, len(m.pairs))
	for _, p := range m.pairs {
		if p.Name[0] != ':' {
			h.Add(p.Name, p.Value)
		}
	}
	return h
}

// validName reports whether a name is a token (RFC 9110, section 5.6.2).
func validName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !isAlphanumeric(c) && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return name != ""
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// validValue reports whether a value can stand in one line (RFC 9110, section 5.5).
func validValue(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
