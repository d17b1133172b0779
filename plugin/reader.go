package plugin

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
)

// ConfigError names the member of the configuration that is wrong. It wraps
// kest.ErrConfiguration.
type ConfigError struct {
	Path   string // such as routes[2].match.path; "" is the document
	Detail string
}

func (e *ConfigError) Error() string {
	if e.Path == "" {
		return "configuration: " + e.Detail
	}
	return "configuration: " + e.Path + ": " + e.Detail
}

func (e *ConfigError) Unwrap() error { return kest.ErrConfiguration }

// node is one place in the configuration. Its methods note the first error and
// go on with zero values, so that a reader needs no check after each member.
type node struct {
	v    *jcs.Value
	path string
	err  *error
}

//go:noinline
func (n node) fail(detail string) {
	if *n.err == nil {
		*n.err = &ConfigError{n.path, detail}
	}
}

// failed takes over an error of the library about this place.
//
//go:noinline
func (n node) failed(err error) {
	if broken, ok := errors.AsType[*kest.MemberError](err); ok {
		n.get(broken.Member).fail(broken.Detail)
	} else if err != nil {
		n.fail(err.Error())
	}
}

// there reports whether the member is present and not null.
func (n node) there() bool { return n.v.Kind() != jcs.Invalid && n.v.Kind() != jcs.Null }

//go:noinline
func (n node) get(name string) node {
	path := name
	if n.path != "" {
		path = n.path + "." + name
	}
	return node{n.v.Get(name), path, n.err}
}

// object checks that the place is an object with known members only.
//
//go:noinline
func (n node) object(known ...string) node {
	if n.v.Kind() != jcs.Object {
		if n.there() {
			n.fail("is " + n.v.Kind().String() + ", not an object")
		}
		return n
	}
	for _, m := range n.v.Items() {
		if !slices.Contains(known, m.Name) {
			n.get(m.Name).fail("unknown member")
		}
	}
	return n
}

// unbuilt refuses members that are known but not built.
//
//go:noinline
func (n node) unbuilt(names ...string) {
	for _, name := range names {
		if m := n.get(name); m.there() {
			m.fail("not built yet")
		}
	}
}

//go:noinline
func (n node) want(kind jcs.Kind) bool {
	if n.v.Kind() == kind {
		return true
	}
	if n.there() {
		n.fail("is " + n.v.Kind().String() + ", not " + kind.String())
	}
	return false
}

//go:noinline
func (n node) text() string {
	n.want(jcs.String)
	return n.v.Str()
}

//go:noinline
func (n node) required() string {
	s := n.text()
	if s == "" {
		n.fail("is missing or empty")
	}
	return s
}

//go:noinline
func (n node) flag() bool { return n.want(jcs.Bool) && n.v.IsTrue() }

// integer reads a number from low to high; fallback where there is none.
//
//go:noinline
func (n node) integer(fallback, low, high int) int {
	if !n.want(jcs.Number) {
		return fallback
	}
	i, ok := n.v.Int()
	if !ok || i < int64(low) || i > int64(high) {
		n.fail("is no integer from " + strconv.Itoa(low) + " to " + strconv.Itoa(high))
		return fallback
	}
	return int(i)
}

//go:noinline
func (n node) duration(fallback time.Duration) time.Duration {
	if !n.want(jcs.String) {
		return fallback
	}
	d, ok := parseDuration(n.v.Str())
	if !ok {
		n.fail("is no duration such as 300s or 5m")
		return fallback
	}
	return d
}

// choice reads one of the words, the first where there is none.
//
//go:noinline
func (n node) choice(words ...string) string {
	s := n.text()
	if s == "" && !n.there() {
		return words[0]
	}
	if !slices.Contains(words, s) {
		list := ""
		for i, w := range words {
			if i > 0 {
				list += ", "
			}
			list += w
		}
		n.fail("is none of " + list)
	}
	return s
}

//go:noinline
func (n node) strings() []string {
	if !n.want(jcs.Array) {
		return nil
	}
	list, ok := n.v.Strings()
	if !ok {
		n.fail("is no list of strings")
	}
	return list
}

//go:noinline
func (n node) patterns() []kest.Pattern {
	list := n.strings()
	out := make([]kest.Pattern, len(list))
	for i, s := range list {
		out[i] = kest.Pattern(s)
	}
	return out
}

// each calls f for every element of an array.
//
//go:noinline
func (n node) each(f func(item node)) {
	if !n.want(jcs.Array) {
		return
	}
	for i := range n.v.Items() {
		f(node{&n.v.Items()[i].Value, n.path + "[" + strconv.Itoa(i) + "]", n.err})
	}
}
