package main

// line makes a root with taints a and b, and one entry after it.
func line(change func(child *entry)) []string {
	m := &maker{}
	root := m.root(gateway, "user_input", 40).taint([]string{"a", "b"}, []string{"a", "b"}, nil).sign()
	child := m.entry(agent, "step", 40, hash(root)).taint([]string{"a", "b"}, nil, nil)
	change(child)
	return []string{root, child.sign()}
}

// both checks a passport under enforce and exact.
func (c *collector) both(name string, entries []string, trust int, taints []string) {
	c.good(name, entries, trust, taints)
	c.good(name+"-exact", entries, trust, taints, exact)
}

func (c *collector) bothBad(name, reason string, index int, entries []string) {
	c.bad(name, reason, index, entries)
	c.bad(name+"-exact", reason, index, entries, exact)
}

// taintVectors: (union of the parents' taints + added) − removed.
func taintVectors(c *collector) {
	ab := []string{"a", "b"}
	c.both("taints-inherited", line(func(*entry) {}), 40, ab)
	c.both("taints-added", line(func(e *entry) { e.taint([]string{"a", "b", "c"}, []string{"c"}, nil) }), 40, []string{"a", "b", "c"})
	c.both("taints-tc-06", line(func(e *entry) {
		e.taint([]string{"a", "c"}, []string{"c"}, []string{"b"}).sanitize()
	}), 40, []string{"a", "c"})
	dropped := line(func(e *entry) { e.taint([]string{"a"}, nil, nil) })
	c.bothBad("taints-dropped", "taints", 1, dropped)
	c.good("taints-dropped-report", dropped, 40, []string{"a"}, reporting(object{"index": 1, "reason": "taints"}))
	c.bothBad("taints-dropped-by-a-sanitizer", "taints", 1, line(func(e *entry) { e.taint([]string{"a"}, nil, nil).sanitize() }))
	c.bothBad("taints-removed-without-sanitizer", "taints", 1, line(func(e *entry) { e.taint([]string{"a"}, nil, []string{"b"}) }))
	c.bothBad("taints-added-but-not-listed", "taints", 1, line(func(e *entry) { e.taint(ab, []string{"c"}, nil) }))
	c.bad("taints-added-at-a-root-but-not-listed", "taints", 0, one(plainRoot().taint(nil, []string{"c"}, nil).sign()))
	extra := line(func(e *entry) { e.taint([]string{"a", "b", "z"}, nil, nil) })
	c.good("taints-more-careful", extra, 40, []string{"a", "b", "z"})
	c.bad("taints-more-careful-exact", "taints", 1, extra, exact)
	c.good("taints-more-careful-report", extra, 40, []string{"a", "b", "z"}, reporting())
	kept := line(func(e *entry) { e.taint(ab, nil, []string{"b"}).sanitize() })
	c.good("taints-removed-but-kept", kept, 40, ab, note("more careful than it had to be"))
	c.bad("taints-removed-but-kept-exact", "taints", 1, kept, exact)
	c.both("taints-all-removed", line(func(e *entry) { e.taint(nil, nil, ab).sanitize() }), 40, nil)
	c.both("taints-added-and-removed", line(func(e *entry) { e.taint(ab, []string{"c"}, []string{"c"}).sanitize() }), 40, ab)

	m := &maker{}
	left := m.root(gateway, "user_input", 40).taint([]string{"l"}, []string{"l"}, nil).sign()
	right := m.root(agent, "user_input", 30).taint([]string{"r"}, []string{"r"}, nil).sign()
	joined := func(trust int, taints ...string) string {
		return (&maker{n: 10}).entry(orders, "join", trust, hash(left), hash(right)).taint(taints, nil, nil).sign()
	}
	c.both("taints-of-two-parents", []string{left, right, joined(30, "l", "r")}, 30, []string{"l", "r"})
	c.bothBad("taints-of-one-parent-only", "taints", 2, []string{left, right, joined(30, "l")})
	c.bad("trust-above-the-lower-parent", "trust", 2, []string{left, right, joined(40, "l", "r")})
	reversed := (&maker{n: 10}).entry(orders, "join", 40, hash(right), hash(left)).taint([]string{"l", "r"}, nil, nil).sign()
	c.bad("trust-above-the-lower-parent-named-first", "trust", 2, []string{left, right, reversed})
	c.good("leaves-unite", []string{left, right}, 30, []string{"l", "r"})
	again := line(func(e *entry) { e.taint(nil, nil, ab).sanitize() })
	back := (&maker{n: 20}).entry(orders, "step", 40, hash(again[0]), hash(again[1])).taint(nil, nil, nil).sign()
	c.bothBad("taints-of-a-skipped-parent", "taints", 2, append(again, back))
}

// trustVectors: an entry has at most its parents' trust, a root its origin's.
func trustVectors(c *collector) {
	child := func(trust int, change func(*entry)) []string {
		m := &maker{}
		root := m.root(gateway, "internet", 10).sign()
		e := m.entry(agent, "step", trust, hash(root))
		change(e)
		return []string{root, e.sign()}
	}
	plain := func(*entry) {}
	c.good("trust-tc-04", child(10, plain), 10, nil)
	c.good("trust-less", child(3, plain), 3, nil)
	c.bad("trust-above-parents", "trust", 1, child(11, plain))
	c.good("trust-above-parents-report", child(11, plain), 11, nil, reporting(object{"index": 1, "reason": "trust"}))
	c.good("trust-tc-05-sanitizer", child(100, func(e *entry) { e.sanitize() }), 100, nil)
	c.bad("trust-above-parents-other-class", "trust", 1, child(11, func(e *entry) { e.set("classification", "data") }))
	c.bad("trust-source-type-at-a-child", "trust", 1, child(90, func(e *entry) { e.label("kest.source_type", "verified_rag") }))
	for origin, score := range map[string]int{
		"system": 100, "internal": 100, "verified_rag": 90, "third_party_api": 60, "user_input": 40, "internet": 10, "llm": 0,
	} {
		c.good("trust-root-"+origin, one((&maker{}).root(gateway, origin, score).sign()), score, nil)
		if score < 100 {
			c.bad("trust-root-"+origin+"-above", "trust", 0, one((&maker{}).root(gateway, origin, score+1).sign()))
		}
	}
	c.good("trust-root-below-its-origin", one((&maker{}).root(gateway, "system", 7).sign()), 7, nil)
	c.good("trust-root-unknown-origin", one((&maker{}).root(gateway, "mars", 10).sign()), 10, nil)
	c.bad("trust-root-unknown-origin-above", "trust", 0, one((&maker{}).root(gateway, "mars", 11).sign()))
	c.bad("trust-root-origin-in-other-case", "trust", 0, one((&maker{}).root(gateway, "System", 100).sign()))
	above := (&maker{}).root(gateway, "internet", 90)
	c.good("trust-root-above-report", one(above.sign()), 90, nil, reporting(object{"index": 0, "reason": "trust"}))
	c.good("trust-root-sanitizer", one(above.sanitize().sign()), 90, nil)
	m := &maker{}
	low := m.root(gateway, "llm", 0).sign()
	high := m.root(agent, "system", 100).sign()
	c.good("trust-of-the-lower-leaf", []string{low, high}, 0, nil)
	chain := []string{low}
	for range 3 {
		chain = append(chain, m.entry(agent, "step", 0, hash(chain[len(chain)-1])).sign())
	}
	c.good("trust-stays-zero", chain, 0, nil)
	two := child(11, plain)
	e := (&maker{n: 30}).entry(orders, "step", 11, hash(two[1])).taint(nil, []string{"x"}, nil)
	c.good("report-two-faults", append(two, e.sign()), 11, nil,
		reporting(object{"index": 1, "reason": "trust"}, object{"index": 2, "reason": "taints"}))
}

func grant(principal string, members ...any) object {
	return change(pairs(members...), "principal", principal)
}

// authorityVectors: a self-claim is worth what the claimant may claim.
func authorityVectors(c *collector) {
	root := one(plainRoot().sign())
	rooter := func(pattern string, more ...any) object {
		return grant(pattern, append([]any{"origins", []string{"user_input"}, "max_root_trust", 40}, more...)...)
	}
	c.good("authority-root-granted", root, 40, nil, authority(rooter(gateway.id)))
	c.bad("authority-empty", "authority", 0, root, authority([]object{}...))
	c.bad("authority-of-another", "authority", 0, root, authority(rooter(agent.id)))
	c.bad("authority-root-without-origins", "authority", 0, root, authority(grant(gateway.id, "max_root_trust", 40)))
	c.bad("authority-root-without-max-root-trust", "authority", 0, root, authority(grant(gateway.id, "origins", []string{"user_input"})))
	c.bad("authority-root-of-another-origin", "authority", 0, root, authority(grant(gateway.id, "origins", []string{"internet"}, "max_root_trust", 40)))
	c.bad("authority-root-above-max-root-trust", "authority", 0, root, authority(grant(gateway.id, "origins", []string{"user_input"}, "max_root_trust", 39)))
	c.bad("authority-root-not-reported-away", "authority", 0, root, authority(rooter(agent.id)), reporting(),
		note("semantics: report loosens meaning, not authority"), func(v *vector) { v.Expect.Faults = nil })

	bare := one(plainRoot().label("kest.source_type", absent{}).set("trust_score", 60).sign())
	origins := func(list ...string) option {
		return authority(grant(gateway.id, "origins", list, "max_root_trust", 100))
	}
	c.good("authority-root-without-source-type", bare, 60, nil, origins("internet", "third_party_api"))
	c.bad("authority-root-without-source-type-above-best", "authority", 0, bare, origins("internet", "user_input"))
	c.bad("authority-root-without-source-type-no-origins", "authority", 0, bare, authority(grant(gateway.id, "max_root_trust", 100, "max_override", 100)))
	unknown := one((&maker{}).root(gateway, "mars", 10).sign())
	c.bad("authority-root-unknown-origin", "authority", 0, unknown, origins("internet"))

	united := authority(grant("spiffe://example.org/gw/*", "origins", []string{"user_input"}), grant(gateway.id, "max_root_trust", 40))
	c.good("authority-two-rules-unite", root, 40, nil, united)
	c.good("authority-one-star", root, 40, nil, authority(rooter("spiffe://example.org/gw/*")))
	c.bad("authority-one-star-stays-in-a-segment", "authority", 0, root, authority(rooter("spiffe://example.org/*")))
	c.good("authority-two-stars", root, 40, nil, authority(rooter("spiffe://example.org/**")))
	c.good("authority-two-stars-alone", root, 40, nil, authority(rooter("**")))
	c.bad("authority-one-star-alone", "authority", 0, root, authority(rooter("*")))
	c.bad("authority-prefix-is-no-pattern", "authority", 0, root, authority(rooter("spiffe://example.org/gw/")))
	c.bad("authority-pattern-must-reach-the-end", "authority", 0, root, authority(rooter("spiffe://example.org/gw/pub*x")))
	c.good("authority-star-in-a-segment", root, 40, nil, authority(rooter("spiffe://*/gw/pub*c")))

	removal := line(func(e *entry) { e.taint([]string{"a"}, nil, []string{"b"}).sanitize() })
	may := func(name string, value any) option {
		g := grant(agent.id)
		g[name] = value
		return authority(rooter(gateway.id), g)
	}
	c.good("authority-removal-granted", removal, 40, []string{"a"}, may("remove_taints", []string{"b"}))
	c.good("authority-removal-by-pattern", removal, 40, []string{"a"}, may("remove_taints", []string{"*"}))
	c.bad("authority-removal-not-granted", "authority", 1, removal, may("remove_taints", []string{"a"}))
	c.bad("authority-removal-absent", "authority", 1, removal, may("max_override", 100))
	c.bad("authority-removal-of-a-slash-by-one-star", "authority", 1,
		line(func(e *entry) { e.taint([]string{"a", "b"}, []string{"x/y"}, []string{"x/y"}).sanitize() }), may("remove_taints", []string{"*"}))
	noted := line(func(e *entry) { e.taint([]string{"a", "b"}, nil, []string{"z"}).sanitize() })
	c.bad("authority-removal-of-what-is-not-there", "authority", 1, noted, may("remove_taints", []string{"b"}))

	raised := line(func(e *entry) { e.set("trust_score", 80).sanitize() })
	c.good("authority-override-granted", raised, 80, []string{"a", "b"}, may("max_override", 80))
	c.bad("authority-override-above", "authority", 1, raised, may("max_override", 79))
	c.good("authority-override-of-the-better-rule", raised, 80, []string{"a", "b"},
		authority(rooter(gateway.id), grant(agent.id, "max_override", 80), grant("**", "max_override", 3, "max_root_trust", 1)))
	c.bad("authority-override-absent", "authority", 1, raised, may("remove_taints", []string{"**"}))
	c.good("authority-sanitizer-not-above-needs-no-grant", line(func(e *entry) { e.sanitize() }), 40, []string{"a", "b"}, may("max_override", 0))
	c.good("authority-hop-needs-no-grant", threeHops(), 40, nil, authority(rooter(gateway.id)))

	boosted := one(plainRoot().set("trust_score", 90).sanitize().sign())
	c.good("authority-root-override-granted", boosted, 90, nil,
		authority(grant(gateway.id, "origins", []string{"user_input"}, "max_root_trust", 90, "max_override", 90)))
	c.bad("authority-root-override-above", "authority", 0, boosted,
		authority(grant(gateway.id, "origins", []string{"user_input"}, "max_root_trust", 100, "max_override", 89)))
	c.bad("authority-root-override-above-max-root-trust", "authority", 0, boosted,
		authority(grant(gateway.id, "origins", []string{"user_input"}, "max_root_trust", 89, "max_override", 100)))
}
