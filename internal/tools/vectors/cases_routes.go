package main

// pathCases: DESIGN 5, under the table of routes.
func pathCases(c *caseCollector) {
	hop := carrying(fromGateway())
	get := func(name, p string, status int, options ...caseOption) {
		c.add("path-"+name, status, append([]caseOption{path(p), hop}, options...)...)
	}
	id := func(value string) caseOption {
		return wantEntry("labels", object{"kest.resource_id": value}, "operation", "orders.read")
	}
	for name, p := range map[string]string{
		"dot-dot": "/orders/..", "dot": "/orders/.", "dot-dot-inside": "/x/../orders/7", "dot-dot-encoded": "/orders/%2e%2E", "dot-encoded": "/orders/%2e",
		"dot-dot-half-encoded": "/orders/.%2e", "double-slash": "/orders//7", "double-slash-first": "//orders/7", "double-slash-last": "/orders/7//",
		"backslash": `/orders\7`, "backslash-in-id": `/orders/a\b`, "encoded-slash": "/orders/a%2fb", "encoded-slash-upper-case": "/orders/a%2Fb",
		"encoded-backslash": "/orders/a%5cb", "encoded-backslash-upper-case": "/orders/a%5Cb", "encoded-nul": "/orders/a%00", "percent-cut-off": "/orders/a%2",
		"percent-alone": "/orders/%", "percent-not-hex": "/orders/%zz", "not-utf8": "/orders/%ff", "dot-segment-on-no-route": "/nowhere/../x",
	} {
		get(name, p, 400)
	}
	get("query-ignored", "/orders/7?x=1&y=../..//%2f%zz\\", 200, id("7"))
	get("query-empty", "/orders/7?", 200, id("7"))
	get("id-decoded", "/orders/a%20b", 200, id("a b"))
	get("id-decoded-once", "/orders/%252e%252e", 200, id("%2e%2e"))
	get("id-unicode", "/orders/%C3%A4", 200, id("ä"))
	get("id-dots", "/orders/a..b", 200, id("a..b"))
	get("id-three-dots", "/orders/...", 200, id("..."))
	get("id-plus-is-plus", "/orders/a+b", 200, id("a+b"))
	get("id-empty", "/orders/", 403)
	get("id-missing", "/orders", 403)
	get("segment-more", "/orders/7/items", 403)
	get("trailing-slash", "/orders/7/", 403)
	get("in-other-case", "/Orders/7", 403)
	get("literal-encoded", "/%6frders/7", 200, id("7"), remark("a segment is what it decodes to, once"))
	get("braces-are-no-pattern", "/orders/{id}", 200, id("{id}"))
	get("root", "/", 403)
}

// routeCases: first match wins; no match and no default is 403.
func routeCases(c *caseCollector) {
	hop := carrying(fromGateway())
	operation := func(name string) caseOption { return wantEntry("operation", name) }
	add := func(name string, status int, options ...caseOption) {
		c.add("route-"+name, status, append(options, hop)...)
	}
	add("head-is-not-get", 403, method("HEAD"))
	add("other-method", 403, method("DELETE"))
	add("method-in-lower-case", 403, method("get"))
	add("no-match", 403, path("/customers/7"))
	add("any-method", 200, reading("match", object{"path": "/orders/{id}"}), method("DELETE"), operation("orders.read"))
	add("several-methods", 200, reading("match", object{"methods": []string{"GET", "HEAD"}, "path": "/orders/{id}"}), method("HEAD"), operation("orders.read"))
	add("any-path", 200, reading("match", object{"methods": []string{"GET"}}, "resource", absent{}), path("/a/b/c"), operation("orders.read"))
	first := change(readRoute(), "operation", "first")
	add("first-match-wins", 200, configure("routes", []any{first, readRoute()}), operation("first"))
	literal := change(change(first, "match", object{"methods": []string{"GET"}, "path": "/orders/all"}), "resource", object{})
	add("first-match-wins-literal", 200, configure("routes", []any{literal, readRoute()}), path("/orders/all"), operation("first"))
	add("first-does-not-match", 200, configure("routes", []any{literal, readRoute()}), operation("orders.read"))
	fallback := configure("default_route", object{"operation": "{method} {path}", "policies": []string{"any"}})
	add("default", 200, fallback, path("/customers/7"), operation("GET /customers/7"))
	add("default-not-first", 200, fallback, operation("orders.read"))
	add("default-only", 200, configure("routes", []any{}), fallback, path("/x"), operation("GET /x"))
	add("default-without-query", 200, fallback, path("/x?secret=1"), operation("GET /x"))
	add("operation-by-default", 200, reading("operation", absent{}), operation("GET /orders/{id}"))
	add("operation-with-a-name", 200, reading("operation", "orders.{id}.read"), operation("orders.7.read"))
	for name, host := range map[string]string{
		"host": "orders.example.org", "host-with-port": "orders.example.org:8443", "host-in-upper-case": "ORDERS.Example.Org",
		"host-deeper": "a.b.example.org",
	} {
		add(name, 200, reading("match", object{"path": "/orders/{id}", "host": "*.Example.org"}), authorityOf(host))
	}
	for name, host := range map[string]string{
		"host-other": "orders.example.com", "host-suffix": "orders.example.org.evil.example", "host-bare": "example.org",
	} {
		add(name, 403, reading("match", object{"path": "/orders/{id}", "host": "*.Example.org"}), authorityOf(host))
	}
	attributes := object{"team": "checkout", "level": 3, "open": true, "tags": []string{"b", "a"}}
	add("resource-attributes", 200, reading("resource", object{"id": "order-{id}", "attributes": attributes}), wantEntry("labels", object{
		"kest.resource_id": "order-7", "kest.resource_attr": `{"level":3,"open":true,"tags":["b","a"],"team":"checkout"}`,
	}))
	add("resource-fixed", 200, reading("resource", object{"id": "orders"}), wantEntry("labels", object{"kest.resource_id": "orders"}))
	add("sanitizer", 200, reading("trust_override", 70, "removed_taints", []string{"pii"}), wantEntry(
		"classification", "sanitizer", "trust_score", 70, "removed_taints", []string{"pii"}, "taints", []string{}))
	c.add("route-default-wants-a-passport", 403, fallback, path("/x"))
}

// traceCases: a request without traceparent gets one.
func traceCases(c *caseCollector) {
	hop := carrying(fromGateway())
	with := func(values ...string) caseOption {
		return func(f *filterCase) {
			withoutTrace(f)
			for _, v := range values {
				header("traceparent", v)(f)
			}
		}
	}
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	c.add("trace-kept", 200, with(good), hop, wantEntry("labels", object{"trace_id": "0af7651916cd43dd8448eb211c80319c"}))
	c.add("trace-of-a-later-version", 200, with("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-more"), hop,
		wantEntry("labels", object{"trace_id": "0af7651916cd43dd8448eb211c80319c"}))
	c.add("trace-made", 200, withoutTrace, hop, wantEntries(2))
	for name, v := range map[string]string{
		"zero-trace": "00-00000000000000000000000000000000-b7ad6b7169203331-00", "zero-parent": "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-00",
		"upper-case": "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-00", "version-ff": "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
		"short": "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-00", "text": "x", "more-in-version-00": good + "-more",
	} {
		c.add("trace-made-for-"+name, 200, with(v), hop, wantEntries(2))
	}
}

// lineageCases: guest/lineage verifies and refuses; it neither decides nor signs.
func lineageCases(c *caseCollector) {
	add := func(name string, status int, options ...caseOption) {
		c.add("lineage-"+name, status, append([]caseOption{func(f *filterCase) { f.Guest = "lineage" }}, options...)...)
	}
	unchanged := func(f *filterCase) { f.Expect.Unchanged = true }
	bare := func(f *filterCase) {
		configure("policies", absent{})(f)
		configure("identity", absent{})(f)
		configure("routes", []any{object{"match": object{"path": "/orders/{id}"}}, object{"match": object{"path": "/orders"}, "root": object{"origin": "user_input"}}})(f)
	}
	root := fromGateway()
	good := bag("a=1;p", plainCarrier(root), "kest.user=alice", tip(hash(root)))
	add("verifies", 200, good, unchanged)
	add("without-policies-and-identity", 200, bare, good, unchanged)
	add("several-headers", 200, bare, bag(plainCarrier(root)), bag("a=1", tip(hash(root))), unchanged)
	add("policies-are-not-asked", 200, reading("policies", []string{"never"}), good, unchanged)
	add("no-passport", 403, bare)
	add("no-passport-where-a-root-is-granted", 200, bare, creatingPath, bag("a=1"), unchanged)
	add("no-baggage-where-a-root-is-granted", 200, bare, creatingPath, unchanged)
	add("signature", 403, bare, carrying(altered(root)))
	add("unknown-principal", 403, bare, carrying((&maker{}).root(stranger, "user_input", 40).sign()))
	add("authority", 403, bare, carrying((&maker{}).root(gateway, "internal", 40).sign()))
	add("tip-wrong", 403, bare, bag(plainCarrier(root), tip(hash("x"))))
	add("two-carriers", 400, bare, bag(plainCarrier(root), "kest.passport_z="+stored(passport(root))))
	add("malformed", 400, bare, bag("kest.passport=x"))
	add("no-route", 403, bare, path("/x"), good)
	add("path", 400, bare, path("/orders/.."), good)
	store := propagation("claim_check", object{"cluster": "kest_agent"})
	add("claim", 200, bare, store, claim(passport(root)), bag("kest.claim_check="+claimID, tip(hash(root))), unchanged)
	add("claim-unknown", 403, bare, store, bag("kest.claim_check="+claimID), func(f *filterCase) { f.Claims = map[string]string{"x": "[]"} })
	strip := configure("edge", object{"strip_incoming": true})
	add("strip", 200, bare, strip, creatingPath, good, wantBaggage("a", "1;p", "kest.passport", nil, "kest.user", nil, "kest.chain_tip", nil))
	add("strip-no-root", 403, bare, strip, good)
	allow := configure("edge", object{"allow_hosts": []string{"*.example.org"}})
	add("host-allowed", 200, bare, allow, good, unchanged)
	add("host-not-allowed", 200, bare, allow, authorityOf("partner.example.com"), good,
		wantBaggage("a", "1;p", "kest.passport", nil, "kest.user", nil, "kest.chain_tip", nil))
}

func creatingPath(f *filterCase) { f.Request.Method, f.Request.Path = "POST", "/orders" }
