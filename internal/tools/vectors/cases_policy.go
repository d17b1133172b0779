package main

// policyCases: all must allow, and what is not clearly allowed is denied.
func policyCases(c *caseCollector) {
	hop := carrying(fromGateway())
	deny := func(name string, options ...caseOption) { c.add(name, 403, append(options, hop)...) }
	deny("policy-denies", reading("policies", []string{"never"}))
	deny("policy-denies-at-a-root", creating("policies", []string{"never"}))
	for _, tier := range []string{"enterprise_policies", "platform_policies", "app_policies"} {
		c.add("policy-allows-in-"+tier, 200, kestMember(tier, []string{"any"}), reading("policies", []string{}), hop, wantEntry(
			"policy_context", object{tier: []string{"any"}, "function_policies": []string{}, "deviations": []any{}}))
		deny("policy-denies-in-"+tier, kestMember(tier, []string{"never"}))
	}
	deny("policy-tc-08", reading("policies", []string{"any", "never"}))
	deny("policy-tc-08-reversed", reading("policies", []string{"never", "any"}))
	conditional := func(text string) caseOption { return cedar("p", text) }
	p := reading("policies", []string{"p"})
	deny("policy-no-permit-applies", conditional(`permit(principal, action, resource) when { false };`), p)
	deny("policy-only-forbids", conditional(`forbid(principal, action, resource) when { false };`), p)
	deny("policy-of-another-action", conditional(`permit(principal, action == Action::"q", resource);`), p)
	c.add("policy-action-is-its-name", 200, conditional(`permit(principal, action == Action::"p", resource);`), p, hop)
	c.add("policy-principal-is-the-workload", 200, conditional(`permit(principal == Workload::"spiffe://example.org/orders", action, resource);`), p, hop)
	c.add("policy-resource-is-the-id", 200, conditional(`permit(principal, action, resource == Resource::"7");`), p, hop)
	c.add("policy-resource-without-id", 200, conditional(`permit(principal, action, resource == Resource::"*");`),
		reading("policies", []string{"p"}, "resource", absent{}), hop)
	deny("policy-error-in-a-permit", conditional(`permit(principal, action, resource) when { context.nothing == 1 };`), p)
	deny("policy-error-beside-a-permit", conditional(`permit(principal, action, resource); permit(principal, action, resource) when { context.nothing == 1 };`), p)
	deny("policy-error-in-a-forbid", conditional(`permit(principal, action, resource); forbid(principal, action, resource) when { context.subject.nothing == 1 };`), p)
	deny("policy-error-of-types", conditional(`permit(principal, action, resource); forbid(principal, action, resource) when { context.trust_score == 1 && context.trust_score.contains(1) || 1 + "x" == 2 };`), p)
	c.add("policy-trust-enough", 200, conditional(`permit(principal, action, resource) when { context.trust_score >= 40 };`), p, hop)
	deny("policy-trust-too-low", conditional(`permit(principal, action, resource) when { context.trust_score >= 41 };`), p)
	c.add("policy-does-not-see-others", 403, cedar("other", `permit(principal, action, resource);`), conditional(`forbid(principal, action, resource) when { false };`), p, hop,
		remark("only the named policy's text is asked"))
	c.add("policy-names-once", 200, kestMember("enterprise_policies", []string{"any", "any"}, "app_policies", []string{"any"}), hop, wantEntry(
		"policy_context", object{
			"enterprise_policies": []string{"any"}, "platform_policies": []string{}, "app_policies": []string{}, "function_policies": []string{},
		}))
	c.add("policy-order-kept", 200, cedar("zeta", "permit(principal, action, resource);"), reading("policies", []string{"zeta", "any"}), hop,
		wantEntry("policy_context", object{"function_policies": []string{"zeta", "any"}}))
	c.add("policy-tiers-in-the-entry", 200, cedar("e", "permit(principal, action, resource);"), cedar("pl", "permit(principal, action, resource);"),
		cedar("ap", "permit(principal, action, resource);"),
		kestMember("enterprise_policies", []string{"e"}, "platform_policies", []string{"pl"}, "app_policies", []string{"ap"}), hop, wantEntry(
			"policy_context", object{
				"enterprise_policies": []string{"e"}, "platform_policies": []string{"pl"}, "app_policies": []string{"ap"},
				"function_policies": []string{"any"}, "deviations": []any{},
			}))
	unseen := wantEntry("policy_context", object{
		"enterprise_policies": []string{}, "platform_policies": []string{}, "app_policies": []string{}, "function_policies": []string{"any"},
	})
	c.add("shadow-denies", 200, kestMember("shadow_policies", []string{"never"}), hop, unseen)
	c.add("shadow-denies-on-a-route", 200, reading("shadow_policies", []string{"never"}), hop, unseen)
	c.add("shadow-with-an-error", 200, cedar("bad", `permit(principal, action, resource) when { context.nothing };`), reading("shadow_policies", []string{"bad"}), hop, unseen)
	deny("shadow-allows-and-policy-denies", reading("policies", []string{"never"}, "shadow_policies", []string{"any"}))
}

// deviationCases: they switch one policy off, in one tier, for one operation, for a time.
func deviationCases(c *caseCollector) {
	hop := carrying(fromGateway())
	deviation := func(tier string, more ...any) object {
		return change(change(change(pairs(more...), "policy", "never"), "tier", tier), "scope", "orders.read")
	}
	with := func(list string, d object) caseOption {
		return kestMember(list, []string{"never"}, "deviations", []any{d})
	}
	for tier, list := range map[string]string{
		"enterprise": "enterprise_policies", "platform": "platform_policies", "application": "app_policies",
	} {
		c.add("deviation-in-"+tier, 200, with(list, deviation(tier, "reason", "migration", "approver", "eva")), hop, wantEntry(
			"policy_context", object{
				list: []string{}, "function_policies": []string{"any"},
				"deviations": []any{object{"policy": "never", "tier": tier, "reason": "migration", "approver": "eva"}},
			}))
	}
	platform := func(d object) caseOption { return with("platform_policies", d) }
	c.add("deviation-without-reason", 200, platform(deviation("platform")), hop, wantEntry("policy_context", object{
		"deviations": []any{object{"policy": "never", "tier": "platform", "reason": nil, "approver": nil}},
	}))
	c.add("deviation-not-yet-expired", 200, platform(deviation("platform", "expires", "2999-01-01T00:00:00Z")), hop, wantEntry(
		"policy_context", object{"platform_policies": []string{}}))
	c.add("deviation-expired", 403, platform(deviation("platform", "expires", "2020-01-01T00:00:00Z")), hop)
	c.add("deviation-expired-has-no-trace", 200,
		kestMember("platform_policies", []string{"any"}, "deviations", []any{
			change(change(deviation("platform"), "policy", "any"), "expires", "2020-01-01T00:00:00Z"),
		}), hop, wantEntry("policy_context", object{"platform_policies": []string{"any"}, "deviations": []any{}}))
	c.add("deviation-of-another-scope", 403, kestMember("platform_policies", []string{"never"}, "deviations", []any{
		change(deviation("platform"), "scope", "orders.create"),
	}), hop)
	c.add("deviation-leaves-other-tiers", 403, kestMember(
		"platform_policies", []string{"never"}, "app_policies", []string{"never"}, "deviations", []any{deviation("platform")}), hop)
	c.add("deviation-of-a-higher-tier-moves-the-name-down", 200, kestMember(
		"enterprise_policies", []string{"any"}, "platform_policies", []string{"any"},
		"deviations", []any{change(deviation("enterprise"), "policy", "any")}), hop,
		wantEntry("policy_context", object{"enterprise_policies": []string{}, "platform_policies": []string{"any"}, "function_policies": []string{}}),
		remark("de-duplicated after deviations apply"))
	c.add("deviation-leaves-the-function-tier", 403, kestMember("platform_policies", []string{"never"}, "deviations", []any{deviation("platform")}),
		reading("policies", []string{"never"}), hop)
}

// contextCases: what policies know, by every name that it has.
func contextCases(c *caseCollector) {
	root := (&maker{}).root(gateway, "user_input", 40).label("kest.identity", actor("alice", nil, "refund")).
		taint([]string{"pii", "region=eu", "region=us"}, []string{"pii", "region=eu", "region=us"}, nil).sign()
	carry := bag(plainCarrier(root), "kest.user=alice", "kest.agent=bot", "kest.task=refund")
	route := reading("policies", []string{"ctx"}, "resource", object{"id": "{id}", "attributes": object{"team": "checkout", "limits": object{"max": 5}, "none": nil}})
	holds := func(name, condition string, options ...caseOption) {
		c.add("context-"+name, 200, append([]caseOption{
			cedar("ctx", "permit(principal, action, resource) when { "+condition+" };"), route, carry,
		}, options...)...)
	}
	holds("subject", `context.subject.workload == "spiffe://example.org/orders" && context.identity == "spiffe://example.org/orders" &&
		context.subject.user == "alice" && context.subject.task == "refund" && !(context.subject has agent) &&
		context.subject.trust_score == 40 && context.subject.taints == ["pii", "region=eu", "region=us"]`)
	holds("subject-flat", `context["subject.workload"] == "spiffe://example.org/orders" && context["subject.user"] == "alice" &&
		!(context has "subject.agent") && context["subject.trust_score"] == 40 && context["subject.taints"].contains("pii")`)
	holds("short-names", `context.user == "alice" && context.task == "refund" && context.scope == "refund" && !(context has agent) &&
		context.trust_score == 40 && context.taints.contains("pii") && context.classification == "system" && !context.is_root && context.source_type == "internal"`)
	holds("labels", `context.subject.labels.region == ["eu", "us"] && !(context.subject.labels has pii)`)
	holds("object", `context.object.id == "7" && context.object.attributes.team == "checkout" && context.object.attributes.limits.max == 5 && !(context.object.attributes has none)`,
		wantEntry("labels", object{"kest.resource_attr": `{"limits":{"max":5},"none":null,"team":"checkout"}`}))
	holds("object-flat", `context["object.id"] == "7" && context["object.attributes"].team == "checkout"`)
	holds("environment", `!context.environment.is_root && context.environment.source_type == "internal" && context.environment.parent_hash == "`+hash(root)+`" &&
		context.environment.policy_names == ["ctx"] && context.environment.policy_tier == "function" && context.environment.active_deviations == [] &&
		context.environment.operation == "orders.read" && context.environment.classification == "system" && context.environment.timestamp_ms > 1700000000000`)
	holds("environment-flat", `!context["environment.is_root"] && context["environment.policy_tier"] == "function" && context["environment.operation"] == "orders.read"`)
	holds("lineage", `context.lineage.depth == 1 && context.lineage.roots == ["`+gateway.id+`"] && context.lineage.callers == ["`+gateway.id+`"] &&
		context.lineage.principals == ["`+gateway.id+`"] && context.lineage.operations == ["ask"] && context.lineage.origins == ["user_input"] &&
		context.lineage.users == ["alice"] && context.lineage.acts.contains({operation: "ask", user: "alice"}) &&
		context.lineage.taint_sources.pii == "`+gateway.id+`" && context.lineage.min_trust == 40`)
	holds("policy-names-of-the-tier", `context.environment.policy_tier == "function"`,
		cedar("e", `permit(principal, action, resource) when { context.environment.policy_tier == "enterprise" && context.environment.policy_names == ["e"] };`),
		kestMember("enterprise_policies", []string{"e"}))
	holds("active-deviations", `context.environment.active_deviations == ["never"]`,
		kestMember("platform_policies", []string{"never"}, "deviations", []any{object{"policy": "never", "tier": "platform", "scope": "orders.read"}}))

	atRoot := cedar("ctx", `permit(principal, action, resource) when { context.is_root && context.environment.is_root && context.source_type == "user_input" &&
		context.environment.parent_hash == "0" && context.lineage.depth == 0 && context.lineage.roots == [] && context.lineage.callers == [] &&
		context.lineage.min_trust == 40 && !(context has user) && !(context.object has id) && context.subject.taints == [] };`)
	c.add("context-at-a-root", 200, atRoot, creating("policies", []string{"ctx"}))
	m := &maker{}
	two := twoRoots(m.root(gateway, "internet", 10), m.root(agent, "internal", 100))
	c.add("context-of-two-parents", 200, cedar("ctx", `permit(principal, action, resource) when {
		context.environment.parent_hash == "`+hash(two[0])+","+hash(two[1])+`" && context.lineage.depth == 1 && context.lineage.min_trust == 10 &&
		context.lineage.callers.containsAll(["`+gateway.id+`", "`+agent.id+`"]) && context.lineage.origins == ["internet", "internal"] };`),
		reading("policies", []string{"ctx"}), carryingTips(two, 0, 1))
	chain := chainOf(gateway, agent)
	c.add("context-callers-are-the-parents", 200, cedar("ctx", `permit(principal, action, resource) when {
		context.lineage.depth == 2 && context.lineage.callers == ["`+agent.id+`"] && context.lineage.roots == ["`+gateway.id+`"] };`),
		reading("policies", []string{"ctx"}), carrying(chain...))
	c.add("context-without-the-entry-being-made", 200, cedar("ctx", `permit(principal, action, resource) when {
		!context.lineage.principals.contains("`+orders.id+`") && !context.lineage.operations.contains("orders.read") &&
		context.subject.taints.contains("here") && !(context.lineage.taint_sources has here) };`),
		reading("policies", []string{"ctx"}, "added_taints", []string{"here"}), carrying(chain...))
}
