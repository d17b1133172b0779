package main

import "strings"

// rootCases: a root is granted by its route or refused.
func rootCases(c *caseCollector) {
	c.add("root-granted", 200, creating(), wantEntries(1), wantEntry(
		"schema_version", "0.3.0", "operation", "orders.create", "classification", "system", "trust_score", 40,
		"parent_ids", []string{"0"}, "taints", []string{}, "added_taints", []string{}, "removed_taints", []string{},
		"labels", object{
			"principal": orders.id, "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
			"kest.source_type": "user_input", "kest.identity": actor(nil, nil, nil),
		},
		"policy_context", object{
			"enterprise_policies": []string{}, "platform_policies": []string{}, "app_policies": []string{},
			"function_policies": []string{"any"}, "deviations": []any{},
		},
		"content_hash", "", "input_hash", "", "otel_context", object{}, "metadata", nil,
	))
	c.add("root-not-granted", 403)
	c.add("root-not-granted-other-baggage", 403, bag("a=1"))
	for origin, score := range map[string]int{"internal": 100, "verified_rag": 90, "third_party_api": 60, "internet": 10, "llm": 0} {
		c.add("root-"+origin, 200, creating("root", object{"origin": origin}), wantEntries(1),
			wantEntry("trust_score", score, "labels", object{"kest.source_type": origin}))
	}
	c.add("root-source-type-does-not-count", 200, creating("source_type", "llm"), wantEntry("trust_score", 40))
	c.add("root-empty-passport-granted", 200, creating(), bag("kest.passport=%5B%5D"), wantEntries(1), wantEntry("parent_ids", []string{"0"}))
	c.add("root-empty-passport-not-granted", 403, bag("kest.passport=%5B%5D"), remark("an empty passport is valid, and no root is granted"))
	c.add("hop", 200, carrying(fromGateway()), wantEntries(2), wantEntry(
		"operation", "orders.read", "trust_score", 40, "parent_ids", []string{hash(fromGateway())},
		"labels", object{"kest.source_type": "internal", "kest.resource_id": "7"},
	))
	c.add("hop-on-a-route-with-a-root", 200, creating(), carrying(fromGateway()), wantEntries(2),
		wantEntry("parent_ids", []string{hash(fromGateway())}, "trust_score", 40, "labels", object{"kest.source_type": "internal"}))
	chain := chainOf(gateway, agent)
	c.add("hop-third", 200, carrying(chain...), wantEntries(3), wantEntry("parent_ids", []string{hash(chain[1])}))
}

// verificationCases: a passport that fails verification is 403.
func verificationCases(c *caseCollector) {
	root := fromGateway()
	c.add("verify-signature", 403, carrying(altered(root)))
	c.add("verify-unknown-principal", 403, carrying((&maker{}).root(stranger, "user_input", 40).sign()))
	c.add("verify-algorithm-none", 403, carrying(signText(gateway, gateway.headerWith("alg", "none"), string(plainRoot().payload()))))
	c.add("verify-denial-as-entry", 403, carrying(signText(gateway, gateway.headerWith("typ", "kest-denial+jws"), string(plainRoot().payload()))))
	c.add("verify-malformed-evidence", 403, carrying("x.y.z"), remark("the passport parses; its entry doesn't verify"))
	c.add("verify-schema", 403, carrying(plainRoot().set("operation", "").sign()))
	c.add("verify-lenient", 200, carrying((&maker{}).small(gateway, 40).sign()), wantEntries(2))
	c.add("verify-schema-strict", 403, lineageMember("schema", "strict"), carrying((&maker{}).small(gateway, 40).sign()))
	c.add("verify-schema-strict-as-produced", 200, lineageMember("schema", "strict"), carrying(fromGateway()), wantEntries(2))
	chain := chainOf(gateway, agent)
	c.add("verify-first-cut-away", 403, carrying(chain[1]))
	c.add("verify-twice", 403, carrying(root, root))
	c.add("verify-origin-not-granted", 403, carrying((&maker{}).root(gateway, "internal", 40).sign()))
	c.add("verify-root-trust-not-granted", 403, configure("authority", []any{grant(gateway.id, "origins", []string{"user_input"}, "max_root_trust", 39)}), carrying(root))
	c.add("verify-root-by-who-may-not", 403, configure("authority", []any{grant(agent.id, "origins", []string{"user_input"}, "max_root_trust", 100)}), carrying(root))
	c.add("verify-trust-all-claims", 200, configure("authority", absent{}), configure("insecure_trust_all_claims", true),
		carrying((&maker{}).root(gateway, "internal", 100).sign()), wantEntry("trust_score", 100))
	lie := line(func(e *entry) { e.taint([]string{"a"}, nil, nil) })
	c.add("verify-taint-dropped", 403, carrying(lie...))
	c.add("verify-taint-dropped-report", 200, lineageMember("semantics", "report"), carrying(lie...), wantEntries(3), wantEntry("taints", []string{"a"}))
	extra := line(func(e *entry) { e.taint([]string{"a", "b", "z"}, nil, nil) })
	c.add("verify-more-careful", 200, carrying(extra...), wantEntry("taints", []string{"a", "b", "z"}))
	c.add("verify-more-careful-exact", 403, lineageMember("semantics", "exact"), carrying(extra...))
	c.add("verify-removal-granted", 200, carrying(cleaned("pii")...), wantEntry("taints", []string{"other"}))
	c.add("verify-removal-not-granted", 403, carrying(cleaned("other")...))
	raised := func(trust int) []string { return line(func(e *entry) { e.set("trust_score", trust).sanitize() }) }
	c.add("verify-override-granted", 200, carrying(raised(80)...), wantEntry("trust_score", 80))
	c.add("verify-override-above", 403, carrying(raised(81)...))
	c.add("verify-trust-above-parents", 403, carrying(line(func(e *entry) { e.set("trust_score", 41) })...))
	diamond := graph(&maker{}, []int{}, []int{0}, []int{0})
	c.add("verify-fan-out", 200, routeKeys(), carryingTips(diamond, 1, 2), wantEntries(4),
		wantEntry("parent_ids", []string{hash(diamond[1]), hash(diamond[2])}))
	c.add("verify-strict-chain", 403, routeKeys(), lineageMember("strict_chain", true), carryingTips(diamond, 1, 2))
	c.add("verify-strict-chain-line", 200, lineageMember("strict_chain", true), carrying(chain...), wantEntries(3))
}

// routeKeys makes the filter know its own workload's earlier entries by configuration too.
func routeKeys() caseOption {
	return configure("keys", object{"static": []any{
		object{"principal": gateway.id, "jwk": gateway.jwk},
		object{"principal": agent.id, "jwk": agent.jwk},
		object{"principal": orders.id, "jwk": orders.jwk},
	}})
}

func carryingTips(entries []string, leaves ...int) caseOption {
	var hashes []string
	for _, i := range leaves {
		hashes = append(hashes, hash(entries[i]))
	}
	return bag(plainCarrier(entries...), tip(hashes...))
}

// cleaned is a root with the taints other and pii, and the agent's entry that removes one.
func cleaned(removed string) []string {
	m := &maker{}
	root := m.root(gateway, "user_input", 40).taint([]string{"other", "pii"}, []string{"other", "pii"}, nil).sign()
	left := map[string]string{"pii": "other", "other": "pii"}[removed]
	return []string{root, m.entry(agent, "clean", 40, hash(root)).taint([]string{left}, nil, []string{removed}).sanitize().sign()}
}

func twoRoots(left, right *entry) []string { return []string{left.sign(), right.sign()} }

// trustCases: min(parents) × self / 100.
func trustCases(c *caseCollector) {
	hop := carrying(fromGateway())
	for source, score := range map[string]int{
		"internal": 40, "verified_rag": 36, "third_party_api": 24, "user_input": 16, "internet": 4, "llm": 0,
	} {
		c.add("trust-hop-"+source, 200, reading("source_type", source), hop,
			wantEntry("trust_score", score, "labels", object{"kest.source_type": source}))
	}
	c.add("trust-tc-04", 200, carrying((&maker{}).root(gateway, "internet", 10).sign()), wantEntry("trust_score", 10))
	c.add("trust-floor", 200, reading("source_type", "verified_rag"), carrying((&maker{}).root(gateway, "user_input", 37).sign()),
		wantEntry("trust_score", 33), remark("37 × 90 / 100 = 33.3"))
	c.add("trust-tc-05", 200, reading("trust_override", 100), carrying((&maker{}).root(gateway, "internet", 10).sign()),
		wantEntry("trust_score", 100, "classification", "sanitizer"))
	c.add("trust-override-zero", 200, reading("trust_override", 0), hop, wantEntry("trust_score", 0, "classification", "sanitizer"))
	m := &maker{}
	two := twoRoots(m.root(gateway, "internet", 10), m.root(agent, "internal", 100))
	c.add("trust-of-the-lower-parent", 200, carryingTips(two, 0, 1), wantEntries(3),
		wantEntry("trust_score", 10, "parent_ids", []string{hash(two[0]), hash(two[1])}))
	two = twoRoots(m.root(agent, "internal", 100), m.root(gateway, "internet", 10))
	c.add("trust-of-the-lower-parent-last", 200, carryingTips(two, 0, 1), wantEntries(3), wantEntry("trust_score", 10))
	deep := graph(&maker{}, []int{}, []int{0})
	c.add("trust-of-parents-only", 200, carrying(deep...), wantEntry("trust_score", 40))
}

// taintCases: (parents + added) − removed, and classifications.
func taintCases(c *caseCollector) {
	tainted := (&maker{}).root(gateway, "user_input", 40).taint([]string{"a", "b"}, []string{"a", "b"}, nil).sign()
	c.add("taints-inherited", 200, carrying(tainted), wantEntry("taints", []string{"a", "b"}, "added_taints", []string{}))
	c.add("taints-tc-06", 200, reading("added_taints", []string{"c"}, "removed_taints", []string{"b"}), carrying(tainted), wantEntry(
		"taints", []string{"a", "c"}, "added_taints", []string{"c"}, "removed_taints", []string{"b"}, "classification", "sanitizer"))
	c.add("taints-sorted-without-repeats", 200, reading("added_taints", []string{"z", "c", "z", "a"}), carrying(tainted),
		wantEntry("taints", []string{"a", "b", "c", "z"}, "added_taints", []string{"a", "c", "z"}))
	c.add("taints-added-at-a-root", 200, creating("added_taints", []string{"unverified_input"}),
		wantEntry("taints", []string{"unverified_input"}, "added_taints", []string{"unverified_input"}))
	m := &maker{}
	two := twoRoots(
		m.root(gateway, "internet", 10).taint([]string{"l"}, []string{"l"}, nil),
		m.root(agent, "internal", 100).taint([]string{"r"}, []string{"r"}, nil))
	c.add("taints-of-two-parents", 200, carryingTips(two, 0, 1), wantEntry("taints", []string{"l", "r"}))
	c.add("classification-explicit", 200, reading("classification", "critic"), carrying(tainted),
		wantEntry("classification", "critic", "taints", []string{"a", "b"}))
	c.add("classification-taints", 200, configure("classification_taints", true), reading("classification", "data"), carrying(tainted),
		wantEntry("taints", []string{"a", "b", "contains_data"}, "added_taints", []string{"contains_data"}))
	c.add("classification-taints-of-a-sanitizer", 200, configure("classification_taints", true), reading("removed_taints", []string{"b"}),
		carrying(tainted), wantEntry("taints", []string{"a", "sanitized"}, "added_taints", []string{"sanitized"}))
	c.add("classification-taints-replaced", 200, configure("classification_taints", object{"critic": "look"}),
		reading("classification", "critic"), carrying(tainted), wantEntry("taints", []string{"a", "b", "look"}))
	c.add("classification-taints-none-for-system", 200, configure("classification_taints", true), carrying(tainted),
		wantEntry("taints", []string{"a", "b"}, "added_taints", []string{}))
}

// identityCases: user, agent and task count only where every parent's signer said so.
func identityCases(c *caseCollector) {
	by := func(m *maker, w *workload, origin string, trust int, label string) *entry {
		return m.root(w, origin, trust).label("kest.identity", label)
	}
	alice := by(&maker{}, gateway, "user_input", 40, actor("alice", nil, nil)).sign()
	carry := func(entries []string, members ...string) caseOption {
		return bag(append([]string{plainCarrier(entries...)}, members...)...)
	}
	known := func(user, agent, task any) caseOption {
		return wantEntry("labels", object{"kest.identity": actor(user, agent, task)})
	}
	c.add("identity-proven", 200, carry(one(alice), "kest.user=alice"), known("alice", nil, nil), wantBaggage("kest.user", "alice"))
	c.add("identity-differing", 200, carry(one(alice), "kest.user=bob"), known(nil, nil, nil))
	c.add("identity-absent-in-baggage", 200, carry(one(alice)), known(nil, nil, nil))
	c.add("identity-in-baggage-alone", 200, carry(one(fromGateway()), "kest.user=alice"), known(nil, nil, nil))
	all := by(&maker{}, gateway, "user_input", 40, actor("alice", "bot", "refund")).sign()
	c.add("identity-all-three", 200, carry(one(all), "kest.user=alice", "kest.agent=bot", "kest.task=refund"), known("alice", "bot", "refund"))
	c.add("identity-each-on-its-own", 200, carry(one(all), "kest.user=alice", "kest.agent=other", "kest.task=refund"), known("alice", nil, "refund"))
	c.add("identity-percent-encoded", 200,
		carry(one(by(&maker{}, gateway, "user_input", 40, actor("Zoë, \"Z\"", nil, nil)).sign()), "kest.user="+percent("Zoë, \"Z\"")), known("Zoë, \"Z\"", nil, nil))
	m := &maker{}
	agree := twoRoots(by(m, gateway, "user_input", 40, actor("alice", nil, nil)), by(m, agent, "internal", 100, actor("alice", nil, nil)))
	c.add("identity-two-parents-agree", 200, carry(agree, "kest.user=alice"), known("alice", nil, nil))
	differ := twoRoots(by(m, gateway, "user_input", 40, actor("alice", nil, nil)), by(m, agent, "internal", 100, actor("bob", nil, nil)))
	c.add("identity-two-parents-differ", 200, carry(differ, "kest.user=alice"), known(nil, nil, nil))
	chain := []string{alice}
	chain = append(chain, (&maker{n: 1}).entry(agent, "step", 40, hash(alice)).sign())
	c.add("identity-of-a-grandparent", 200, carry(chain, "kest.user=alice"), known(nil, nil, nil))
	c.add("identity-at-a-root", 200, creating(), bag("kest.user=alice"), known(nil, nil, nil))
	insecure := configure("insecure_baggage_identity", true)
	c.add("identity-insecure-at-a-root", 200, creating(), insecure, bag("kest.user=alice"), known("alice", nil, nil))
	c.add("identity-insecure-differing", 200, insecure, carry(one(alice), "kest.user=bob"), known("bob", nil, nil))
	c.add("identity-label-that-does-not-parse", 200,
		carry(one(by(&maker{}, gateway, "user_input", 40, "alice").sign()), "kest.user=alice"), known(nil, nil, nil))
	wantsAlice := cedar("alice", `permit(principal, action, resource) when { context has user && context.user == "alice" };`)
	c.add("identity-policy-sees-the-proven", 200, wantsAlice, reading("policies", []string{"alice"}), carry(one(alice), "kest.user=alice"))
	c.add("identity-policy-does-not-see-the-claimed", 403, wantsAlice, reading("policies", []string{"alice"}), carry(one(fromGateway()), "kest.user=alice"))
	c.add("identity-policy-does-not-see-it-at-a-root", 403, wantsAlice, creating("policies", []string{"alice"}), bag("kest.user=alice"))
	subjects := configure("subjects", []any{object{"user": "*@example.org", "attributes": object{"clearance": "secret", "level": 3}}})
	cleared := cedar("cleared", `permit(principal, action, resource) when { context.subject.attributes has clearance && context.subject.attributes.level == 3 };`)
	staff := by(&maker{}, gateway, "user_input", 40, actor("al@example.org", nil, nil)).sign()
	c.add("identity-subject-attributes", 200, subjects, cleared, reading("policies", []string{"cleared"}), carry(one(staff), "kest.user="+percent("al@example.org")))
	c.add("identity-subject-attributes-not-of-the-claimed", 403, subjects, cleared, reading("policies", []string{"cleared"}),
		carry(one(alice), "kest.user="+percent("al@example.org")))
}

// limitCases: what one passport may cost.
func limitCases(c *caseCollector) {
	long := []string{(&maker{}).small(gateway, 40).sign()}
	m := &maker{n: 1}
	for len(long) < 33 {
		long = append(long, m.small(agent, 40, hash(long[len(long)-1])).sign())
	}
	c.add("limit-33-entries", 403, carrying(long...))
	store := propagation("claim_check", object{"cluster": "kest_agent"}, "compress", false)
	c.add("limit-32-entries", 200, store, carrying(long[:32]...), wantEntries(33))
	limits := func(name string, n int) caseOption { return lineageMember("limits", object{name: n}) }
	three := chainOf(gateway, agent, agent)
	c.add("limit-entries-configured", 403, limits("entries", 2), carrying(three...))
	c.add("limit-entries-configured-reached", 200, limits("entries", 3), carrying(three...), wantEntries(4))
	c.add("limit-entries-raised", 200, limits("entries", 33), store, carrying(long...), wantEntries(34))
	size := len(three[0])
	c.add("limit-entry-bytes", 403, limits("entry_bytes", size-1), carrying(three[0]))
	c.add("limit-entry-bytes-reached", 200, limits("entry_bytes", size), carrying(three[0]), wantEntries(2))
	wire := len(passport(three...))
	c.add("limit-bytes", 403, limits("bytes", wire-1), carrying(three...))
	c.add("limit-bytes-reached", 200, limits("bytes", wire), carrying(three...), wantEntries(4))
	c.add("limit-entry-of-64-KiB", 403, carrying(plainRoot().set("metadata", strings.Repeat("x", 48<<10)).sign()))
}
