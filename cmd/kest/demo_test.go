package main

import (
	"regexp"
	"strings"
	"testing"
)

// The demo is a promise of the README: five requests, each with its verdict.
func TestDemo(t *testing.T) {
	a := kestRun(t, "", "demo")
	a.want(t, exitGood, "1. A user asks", "2. The same way", "3. The first request's passport", "4. That passport without", "5. No passport at all")
	verdicts := regexp.MustCompile(`(?m)^   (\d{3}) [A-Z]`).FindAllStringSubmatch(a.out, -1)
	var statuses []string
	for _, v := range verdicts {
		statuses = append(statuses, v[1])
	}
	if got := strings.Join(statuses, " "); got != "200 403 403 403 403" {
		t.Errorf("statuses %s", got)
	}
	for _, line := range []string{
		"   #0 ask  by spiffe://example.org/edge  trust 40  taints unverified_input  origin user_input\n",
		"   └─ #1 plan  by spiffe://example.org/agent  trust 40  taints llm, unverified_input\n",
		"      └─ #2 orders.refund  by spiffe://example.org/orders  trust 40  taints llm, unverified_input\n",
	} {
		if !strings.Contains(a.out, line) {
			t.Errorf("the tree has no line %q", line)
		}
	}
	if n := len(regexp.MustCompile(`"decision_id":"[0-9a-f-]{36}"`).FindAllString(a.out, -1)); n != 4 {
		t.Errorf("%d decision ids for four refusals", n)
	}
	if strings.Contains(a.out, "that should have been") || a.err != "" {
		t.Errorf("stderr %q", a.err)
	}
	if t.Failed() {
		t.Log(a.out)
	}
}
