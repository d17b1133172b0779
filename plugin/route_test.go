package plugin

import (
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"kest.example/kest"
)

func TestSplitPath(t *testing.T) { // DESIGN 5
	for p, want := range map[string][]string{
		"/": {""}, "/a": {"a"}, "/a/": {"a", ""}, "/a/b": {"a", "b"}, "/a%20b": {"a b"}, "/%252e": {"%2e"}, "/a..b": {"a..b"}, "/...": {"..."},
		"/a+b": {"a+b"}, "/%C3%A4": {"ä"}, "/ä": {"ä"}, "/a:b@c": {"a:b@c"}, "/%3f%23": {"?#"},
	} {
		if got, err := splitPath(p); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", p, got, err)
		}
	}
	for _, p := range []string{
		"", "a", "*", "http://x/", "//", "//a", "/a//b", "/a//", "/.", "/..", "/a/.", "/a/..", "/../a", "/./a", "/%2e", "/%2E%2e", "/.%2e/a", "/a/%2e/",
		`/\`, `/a\b`, "/%5c", "/a%5Cb", "/%2f", "/a%2Fb", "/%00", "/a\x00", "/%", "/%1", "/%zz", "/%1g", "/%ff", "/\xff", "/a?b", "/a#b", "/%c0%af", "/a;b=c", "/a%3Bb", "/..;/x", "/a/;/b",
	} {
		if got, err := splitPath(p); err == nil {
			t.Errorf("%q was read as %q", p, got)
		}
	}
}

// Whatever another reader of the path may do, it sees the same segments.
func FuzzPath(f *testing.F) {
	for _, p := range []string{"/", "/a/b", "/a/../b", "//", "/%2e%2e/x", "/a%2fb", `/a\b`, "/%252e", "/ä/%C3%A4", "/a/", "/.a/..b", "/%00", "/a;b"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		segments, err := splitPath(p)
		if err != nil {
			if segments != nil {
				t.Fatal("half a path came with an error")
			}
			return
		}
		joined := "/" + strings.Join(segments, "/")
		if want := strings.TrimSuffix(joined, "/"); path.Clean(joined) != want && joined != "/" {
			t.Fatalf("%q is %q, which cleans to %q", p, joined, path.Clean(joined))
		}
		for _, s := range segments {
			if strings.ContainsAny(s, "/\\\x00") {
				t.Fatalf("%q has the segment %q", p, s)
			}
		}
		if decoded, err := url.PathUnescape(p); err != nil || decoded != joined {
			t.Fatalf("%q is %q here and %q to net/url, %v", p, joined, decoded, err)
		}
	})
}

func TestCleanHost(t *testing.T) {
	for authority, want := range map[string]string{
		"": "", "a.example": "a.example", "A.Example:8080": "a.example", "a.example.": "a.example", "A.EXAMPLE.:1": "a.example",
		"[::1]": "[::1]", "[::1]:8080": "[::1]", "127.0.0.1:80": "127.0.0.1", "a:": "a",
	} {
		if got := cleanHost(authority); got != want {
			t.Errorf("%q: %q, want %q", authority, got, want)
		}
	}
}

func TestExpand(t *testing.T) {
	route := &Route{Path: []string{"a", "{id}", "{sub}"}, pattern: "/a/{id}/{sub}"}
	at := &target{method: "GET", path: "/a/1/{id}", segments: []string{"a", "1", "{id}"}}
	for template, want := range map[string]string{
		"": "", "plain": "plain", "{method} {path}": "GET /a/{id}/{sub}", "{id}": "1", "x-{id}-{sub}-y": "x-1-{id}-y", "{id}{id}": "11",
		"{sub}": "{id}", // what a request says is not a template
		"{":     "{", "}": "}", "}{": "}{", "{id": "{id",
	} {
		if got := route.expand(template, at); got != want {
			t.Errorf("%q: %q, want %q", template, got, want)
		}
	}
	if got := (&Route{}).expand("{method} {path}", at); got != "GET /a/1/{id}" {
		t.Errorf("without a pattern: %q", got)
	}
}

func TestFirstRouteWins(t *testing.T) {
	named := func(operation string, methods []string, host kest.Pattern, path ...string) *Route {
		return &Route{Hop: kest.Hop{Operation: operation}, Methods: methods, Host: host, Path: path}
	}
	c := &Config{Routes: []*Route{
		named("host", nil, "admin.*"), named("literal", []string{"GET"}, "", "orders", "all"), named("id", []string{"GET", "PUT"}, "", "orders", "{id}"),
		named("root", nil, "", ""),
	}}
	for request, want := range map[string]string{
		"GET x /orders/all": "literal", "GET x /orders/7": "id", "PUT x /orders/all": "id", "HEAD x /orders/7": "", "GET admin.x /orders/all": "host",
		"GET x /orders/": "", "GET x /": "root", "GET x /orders": "", "GET x /orders/7/8": "",
	} {
		part := strings.Split(request, " ")
		segments, err := splitPath(part[2])
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if r := c.route(&target{method: part[0], host: part[1], path: part[2], segments: segments}); r != nil {
			got = r.Hop.Operation
		}
		if got != want {
			t.Errorf("%s: %q, want %q", request, got, want)
		}
	}
	c.DefaultRoute = named("default", nil, "")
	if r := c.route(&target{method: "HEAD", segments: []string{"x"}}); r == nil || r.Hop.Operation != "default" {
		t.Errorf("no default: %v", r)
	}
}

func TestTraceID(t *testing.T) { // https://www.w3.org/TR/trace-context/
	const id, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for header, want := range map[string]string{
		"00-" + id + "-" + parent + "-01": id, "cc-" + id + "-" + parent + "-01-x": id, "01-" + id + "-" + parent + "-01": id,
		"00-" + id + "-" + parent + "-01-x": "", "ff-" + id + "-" + parent + "-01": "", "00-" + strings.ToUpper(id) + "-" + parent + "-01": "",
		"00-" + strings.Repeat("0", 32) + "-" + parent + "-01": "", "00-" + id + "-" + strings.Repeat("0", 16) + "-01": "", "": "", "-": "",
		"00-" + id[1:] + "-" + parent + "-01": "", "0-" + id + "-" + parent + "-01": "", "00-" + id + "-" + parent: "", "0g-" + id + "-" + parent + "-01": "",
		" 00-" + id + "-" + parent + "-01": "", "00-" + id + "-" + parent + "-1": "",
	} {
		if got := traceID(header); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}
