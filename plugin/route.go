package plugin

import (
	"slices"
	"strings"
	"unicode/utf8"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
)

// Route says what requests of one kind need: first match wins.
type Route struct {
	Hop        kest.Hop
	Methods    []string // empty is any
	Path       []string // segments as they are compared; nil is any path
	Host       kest.Pattern
	ResourceID string // may hold {name}
	Attributes []byte // canonical JSON object, or nil

	pattern string // match.path as it stands
}

var routeMembers = []string{
	"operation", "policies", "shadow_policies", "root", "source_type", "added_taints", "removed_taints",
	"trust_override", "classification", "resource",
}

func (c *Config) readRoutes(n node) {
	n.get("routes").each(func(r node) {
		r.object(append([]string{"match"}, routeMembers...)...)
		route := c.readRoute(r)
		route.readMatch(r.get("match"))
		c.Routes = append(c.Routes, c.finish(r, route))
	})
	if d := n.get("default_route"); d.there() {
		d.object(routeMembers...)
		c.DefaultRoute = c.finish(d, c.readRoute(d))
	}
	if len(c.Routes) == 0 && c.DefaultRoute == nil && !c.Egress {
		n.get("routes").fail("is empty and there is no default_route: nothing could pass")
	}
	c.checkScopes(n.get("kest").get("deviations"))
}

func (c *Config) readRoute(r node) *Route {
	route := &Route{Hop: kest.Hop{
		Operation: r.get("operation").text(), Policies: r.get("policies").strings(),
		ShadowPolicies: r.get("shadow_policies").strings(), SourceType: r.get("source_type").text(),
		AddedTaints: r.get("added_taints").strings(), RemovedTaints: r.get("removed_taints").strings(),
		Classification: r.get("classification").text(),
	}}
	if root := r.get("root"); root.there() {
		route.Hop.RootOrigin = root.object("origin").get("origin").required()
	}
	if o := r.get("trust_override"); o.there() {
		score := o.integer(0, 0, 100)
		route.Hop.TrustOverride = &score
	}
	if resource := r.get("resource"); resource.there() {
		resource.object("id", "attributes")
		route.ResourceID = resource.get("id").text()
		attributes := resource.get("attributes")
		if attributes.want(jcs.Object) {
			c.checkAttributes(attributes)
			route.Attributes = jcs.Append(nil, attributes.v)
		}
	}
	return route
}

func (route *Route) readMatch(m node) {
	m.object("methods", "path", "host")
	route.Methods = m.get("methods").strings()
	for _, method := range route.Methods {
		if method == "" || method != strings.ToUpper(method) {
			m.get("methods").fail("holds a method that is not in upper case")
		}
	}
	route.Host = kest.Pattern(strings.ToLower(m.get("host").text()))
	if path := m.get("path"); path.there() {
		route.pattern = path.required()
		segments, err := splitPath(route.pattern)
		path.failed(err)
		for i, s := range segments {
			if name, ok := capture(s); ok && (name == "" || slices.Contains(segments[:i], s)) {
				path.fail("has a {name} that is empty or stands there twice")
			}
		}
		route.Path = segments
	}
}

// finish settles what a route's templates need, and validates the hop.
func (c *Config) finish(r node, route *Route) *Route {
	if route.Hop.Operation == "" {
		route.Hop.Operation = "{method} {path}"
	}
	for _, t := range [...]struct{ member, text string }{
		{"operation", route.Hop.Operation}, {"resource.id", route.ResourceID},
	} {
		if strings.ContainsAny(stripped(t.text), "{}") {
			r.get(t.member).fail("has a brace that opens or closes no {name}")
		}
		for _, name := range placeholders(t.text) {
			if name != "method" && name != "path" && !slices.Contains(route.Path, "{"+name+"}") {
				r.get(t.member).fail("{" + name + "} is not in match.path")
			}
		}
	}
	r.failed(route.Hop.Validate(kest.Origins{}))
	return route
}

// checkScopes wants a route for every deviation's scope.
func (c *Config) checkScopes(n node) {
	for _, d := range c.Policies.Deviations {
		if !slices.ContainsFunc(c.all(), func(r *Route) bool { return expandsTo(r.Hop.Operation, d.Scope) }) {
			n.fail("the scope " + d.Scope + " is no route's operation")
		}
	}
}

// RouteOf returns the first route whose operation is, or can become, this one;
// nil where there is none.
func (c *Config) RouteOf(operation string) *Route {
	for _, r := range c.all() {
		if expandsTo(r.Hop.Operation, operation) {
			return r
		}
	}
	return nil
}

// expandsTo reports whether an operation with {names} can become a text: each
// name stands for one character or more.
func expandsTo(operation, text string) bool {
	open := strings.IndexByte(operation, '{')
	length := strings.IndexByte(operation[max(open, 0):], '}')
	if open < 0 || length < 0 {
		return operation == text
	}
	if !strings.HasPrefix(text, operation[:open]) {
		return false
	}
	for i := open + 1; i <= len(text); i++ {
		if expandsTo(operation[open+length+1:], text[i:]) {
			return true
		}
	}
	return false
}

// all returns the routes and the default one.
func (c *Config) all() []*Route {
	if c.DefaultRoute == nil {
		return c.Routes
	}
	return append(slices.Clip(c.Routes), c.DefaultRoute)
}

// target is a request as routes see it.
type target struct {
	method, path, host string
	segments           []string // each percent-decoded once
}

// route returns the first that matches, or nil.
func (c *Config) route(t *target) *Route {
	for _, r := range c.Routes {
		if r.matches(t) {
			return r
		}
	}
	return c.DefaultRoute
}

func (route *Route) matches(t *target) bool {
	if len(route.Methods) > 0 && !slices.Contains(route.Methods, t.method) {
		return false
	}
	if route.Host != "" && !route.Host.Match(t.host) {
		return false
	}
	if route.Path == nil {
		return true
	}
	if len(route.Path) != len(t.segments) {
		return false
	}
	for i, s := range route.Path {
		if _, ok := capture(s); ok {
			if t.segments[i] == "" {
				return false
			}
		} else if s != t.segments[i] {
			return false
		}
	}
	return true
}

// expand fills {method}, {path} and the path's {name} into a template. {path}
// is the pattern that matched, where there is one.
func (route *Route) expand(template string, t *target) string {
	if strings.IndexByte(template, '{') < 0 {
		return template
	}
	out := ""
	for {
		start := strings.IndexByte(template, '{')
		end := strings.IndexByte(template, '}')
		if start < 0 || end < start {
			return out + template
		}
		out += template[:start] + route.value(template[start+1:end], t)
		template = template[end+1:]
	}
}

func (route *Route) value(name string, t *target) string {
	switch name {
	case "method":
		return t.method
	case "path":
		if route.pattern != "" {
			return route.pattern
		}
		return t.path
	}
	if i := slices.Index(route.Path, "{"+name+"}"); i >= 0 {
		return t.segments[i]
	}
	return ""
}

func placeholders(template string) (names []string) {
	for {
		start := strings.IndexByte(template, '{')
		end := strings.IndexByte(template, '}')
		if start < 0 || end < start {
			return names
		}
		names = append(names, template[start+1:end])
		template = template[end+1:]
	}
}

// stripped returns a template without its {name}s.
func stripped(template string) string {
	for _, name := range placeholders(template) {
		template = strings.Replace(template, "{"+name+"}", "", 1)
	}
	return template
}

// capture returns the name of a {name} segment.
func capture(segment string) (name string, ok bool) {
	if len(segment) >= 2 && segment[0] == '{' && segment[len(segment)-1] == '}' {
		return segment[1 : len(segment)-1], true
	}
	return "", false
}

// pathError says why a path is refused (400).
type pathError string

func (e pathError) Error() string { return string(e) }

// splitPath cuts a path without its query into segments, each decoded once. It
// refuses whatever another reader of the path could see otherwise: dot
// segments, //, \, and encoded slashes, backslashes and NULs.
func splitPath(path string) ([]string, error) {
	if path == "" || path[0] != '/' {
		return nil, pathError("the path does not begin with /")
	}
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		if s == "" && i < len(segments)-1 {
			return nil, pathError("the path has //")
		}
		decoded, err := decodeSegment(s)
		if err != nil {
			return nil, err
		}
		if decoded == "." || decoded == ".." {
			return nil, pathError("the path has a dot segment")
		}
		segments[i] = decoded
	}
	return segments, nil
}

func decodeSegment(s string) (string, error) {
	if strings.ContainsAny(s, "\\#?;\x00") {
		return "", pathError("the path has a byte that it may not have")
	}
	if strings.IndexByte(s, '%') < 0 {
		if !utf8.ValidString(s) {
			return "", pathError("the path is no UTF-8")
		}
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		c, ok := unhex(s, i+1)
		if !ok {
			return "", pathError("the path is not percent-encoded")
		}
		if c == '/' || c == '\\' || c == ';' || c == 0 {
			return "", pathError("the path has an encoded slash, backslash or NUL")
		}
		b = append(b, c)
		i += 2
	}
	if !utf8.Valid(b) {
		return "", pathError("the path is no UTF-8")
	}
	return string(b), nil
}

func unhex(s string, i int) (byte, bool) {
	if i+1 >= len(s) {
		return 0, false
	}
	var v byte
	for _, c := range []byte(s[i : i+2]) {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		v = v<<4 | c
	}
	return v, true
}

// cleanHost lowers a host and takes off its port.
func cleanHost(authority string) string {
	host := strings.ToLower(authority)
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.IndexByte(host[i:], ']') < 0 {
		host = host[:i]
	}
	return strings.TrimSuffix(host, ".")
}
