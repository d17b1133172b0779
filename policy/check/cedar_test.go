package check_test

import (
	"slices"
	"strings"
	"testing"

	"kest.example/kest/policy/check"
)

func lines(faults check.Faults) (list []int) {
	for _, f := range faults {
		list = append(list, f.Line)
	}
	return list
}

const permit = "permit(principal, action, resource)"

func TestGoodCedar(t *testing.T) {
	for _, text := range []string{
		permit + ";",
		`permit(principal, action == Action::"team/p", resource);`,
		`permit(principal == Workload::"spiffe://a", action in [Action::"team/p", Action::"q"], resource is Resource);`,
		permit + ` when { context.trust_score >= 40 && !context.taints.contains("pii") };`,
		permit + ` when { context has user && context.user == "ana" };`,
		permit + ` when { context.subject has user && context.subject.user like "*@example.org" };`,
		permit + ` when { context["subject.taints"].containsAny(["a", "b"]) && context["object.attributes"].team == "x" };`,
		permit + ` when { context.object.attributes.limit >= context.subject.attributes.amount + 1 };`,
		permit + ` when { context.subject.attributes has clearance && context.subject.attributes.clearance == "secret" };`,
		permit + ` unless { context.subject.labels has level && context.subject.labels.level.contains("secret") };`,
		permit + ` when { context.lineage.acts.contains({operation: "pay", user: "ana"}) };`,
		permit + ` when { context.lineage.taint_sources has pii && context.lineage.taint_sources.pii == "spiffe://a" };`,
		permit + ` when { context.object.attributes.groups.containsAll(context.subject.attributes.groups) };`,
		permit + ` when { context.subject.attributes.treats.contains(context.object.attributes.patient) };`,
		permit + ` when { context.object.attributes.sanitized || context.environment.is_root };`,
		permit + ` when { context.object.attributes.nested.deep == 1 };`,
		permit + ` when { context.trust_score > 10 || context.trust_score > 100 };`,
		permit + ";\nforbid(principal, action, resource) when { context.lineage.min_trust < 10 };",
	} {
		if faults := check.Cedar("team.cedar", 1, "team/p", text); len(faults) > 0 {
			t.Errorf("%s: %v", text, faults)
		}
	}
}

func TestCedarFaults(t *testing.T) {
	for text, want := range map[string][]int{
		"":                                     {1},
		"// nothing":                           {1},
		"permit(":                              {1},
		permit + ";\n\npermit(x);":             {3},
		"forbid(principal, action, resource);": {1},
		`permit(principal, action == Action::"other", resource);`:                                                            {1},
		`permit(principal == User::"ana", action, resource);`:                                                                {1},
		"\n" + `permit(principal, action, resource is Photo);`:                                                               {2},
		permit + ` when { context.user == "ana" };`:                                                                          {1},
		permit + "\nwhen {\n  context.subject.user == \"ana\" };":                                                            {3},
		permit + "\nwhen { context.trust > 3 };":                                                                             {2},
		permit + ` when { context.subject.name == "x" };`:                                                                    {1},
		permit + ` when { context["subject.name"] == "x" };`:                                                                 {1},
		permit + ` when { principal.name == "x" };`:                                                                          {1},
		permit + ` when { context.trust_score == "x" && context.taints > 3 };`:                                               {1},
		permit + ` when { context.trust_score > 100 };`:                                                                      {1},
		permit + ` when { false };`:                                                                                          {1},
		permit + ` when { context.is_root && !context.is_root };`:                                                            {1},
		permit + ` when { context.trust_score < 10 } unless { context.trust_score <= 20 };`:                                  {1},
		permit + ` when { context.source_type == "a" && context.source_type == "b" };`:                                       {1},
		permit + ` when { context.environment.classification == "a" } unless { context.environment.classification == "a" };`: {1},
		permit + ` when { 5 > context.lineage.depth && context.lineage.depth >= 7 };`:                                        {1},
		permit + ` when { context.subject.labels.level == "secret" };`:                                                       {1},
	} {
		faults := check.Cedar("p.cedar", 1, "p", text)
		if have := slices.Compact(lines(faults)); !slices.Equal(have, want) {
			t.Errorf("%s: %v, want lines %v", text, faults, want)
		}
		for _, f := range faults {
			if f.File != "p.cedar" || f.Text == "" || strings.Contains(f.Text, "\n") {
				t.Errorf("%s: %+v", text, f)
			}
		}
	}
	if faults := check.Cedar("c.yaml", 7, "p", "\n"+permit+" when { context.nothing };"); len(faults) != 1 || faults[0].Line != 8 {
		t.Errorf("in a file from line 7 on: %v", faults)
	}
	if faults := check.Cedar("a b.cedar", 1, "a b", permit+";"); len(faults) != 1 {
		t.Errorf("no policy name: %v", faults)
	}
}
