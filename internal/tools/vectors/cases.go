package main

import (
	"maps"
	"strings"
)

// filterCase is one file of test/cases. Whoever reads it is test/conformance.
type filterCase struct {
	Name          string            `json:"name"`
	Contract      string            `json:"contract"`
	Note          string            `json:"note,omitempty"`
	Guest         string            `json:"guest"`
	Configuration object            `json:"configuration"`
	Request       request           `json:"request"`
	Claims        map[string]string `json:"claims,omitempty"`      // what the claim store holds
	ClaimsDown    bool              `json:"claims_down,omitempty"` // the store answers nothing
	Expect        outcome           `json:"expect"`
}

type request struct {
	Method    string      `json:"method"`
	Path      string      `json:"path"`
	Authority string      `json:"authority"`
	Headers   [][2]string `json:"headers"`
}

// outcome is what must come of a request. In baggage, a text is a member's
// value as it stands in the header that the upstream sees, true says that the
// member is there and null that it isn't.
type outcome struct {
	Status    int    `json:"status"`
	GRPC      int    `json:"grpc"`
	Entries   int    `json:"entries,omitempty"` // of the passport that goes on
	Entry     object `json:"entry,omitempty"`   // members that its last entry must have
	Baggage   object `json:"baggage,omitempty"`
	Unchanged bool   `json:"baggage_unchanged,omitempty"`
}

var grpcCode = map[int]int{200: 0, 400: 3, 401: 16, 403: 7, 503: 14}

// caseOption changes one thing of a case.
type caseOption func(*filterCase)

type caseCollector struct {
	contract string
	list     []filterCase
	names    map[string]bool
}

// add adds a case: GET /orders/7 of the base configuration, unless options say otherwise.
func (c *caseCollector) add(name string, status int, options ...caseOption) {
	if c.names[name] {
		panic("two cases " + name)
	}
	c.names[name] = true
	f := filterCase{
		Name: name, Contract: c.contract, Guest: "policy", Configuration: baseConfiguration(),
		Request: request{Method: "GET", Path: "/orders/7", Authority: "orders.example.org", Headers: [][2]string{
			{"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
		}},
		Expect: outcome{Status: status, GRPC: grpcCode[status]},
	}
	for _, o := range options {
		o(&f)
	}
	c.list = append(c.list, f)
}

// filterCases makes all files of test/cases.
func filterCases() []filterCase {
	c := &caseCollector{names: make(map[string]bool)}
	for _, part := range []struct {
		contract string
		add      func(*caseCollector)
	}{
		{"7", rootCases},
		{"3", verificationCases},
		{"4", trustCases},
		{"5", taintCases},
		{"6", policyCases},
		{"6", deviationCases},
		{"6", contextCases},
		{"7", identityCases},
		{"9", carrierCases},
		{"9", claimCases},
		{"9", compressedCases},
		{"9", headerCases},
		{"9", edgeCases},
		{"9", pythonCases},
		{"DESIGN 5", pathCases},
		{"DESIGN 5", routeCases},
		{"3.1", limitCases},
		{"10", traceCases},
		{"DESIGN 1", lineageCases},
	} {
		c.contract = part.contract
		part.add(c)
	}
	return c.list
}

// baseConfiguration verifies the gateway and the agent, and reads and creates orders.
func baseConfiguration() object {
	return object{
		"workload": orders.id, "identity": object{"insecure_seed": encode(seedOf('o'))},
		"keys": object{"static": []any{
			object{"principal": gateway.id, "jwk": gateway.jwk}, object{"principal": agent.id, "jwk": agent.jwk},
		}},
		"authority": []any{
			grant(gateway.id, "origins", []string{"user_input", "internet"}, "max_root_trust", 40),
			grant(agent.id, "origins", []string{"internal"}, "max_root_trust", 100, "remove_taints", []string{"pii"}, "max_override", 80),
		},
		"policies": object{"cedar": object{
			"any":   "permit(principal, action, resource);",
			"never": "permit(principal, action, resource); forbid(principal, action, resource);",
		}},
		"routes": []any{readRoute(), createRoute()},
	}
}

func readRoute() object {
	return object{
		"match": object{"methods": []string{"GET"}, "path": "/orders/{id}"}, "operation": "orders.read",
		"policies": []string{"any"}, "resource": object{"id": "{id}"},
	}
}

func createRoute() object {
	return object{
		"match": object{"methods": []string{"POST"}, "path": "/orders"}, "operation": "orders.create",
		"policies": []string{"any"}, "root": object{"origin": "user_input"},
	}
}

// What options there are for a case.

func configure(name string, value any) caseOption {
	return func(f *filterCase) { f.Configuration = change(f.Configuration, name, value) }
}

// reading changes the route that reads orders.
func reading(members ...any) caseOption { return routing(readRoute(), members...) }

// creating changes the route that creates orders, and sends such a request.
func creating(members ...any) caseOption {
	return func(f *filterCase) {
		f.Request.Method, f.Request.Path = "POST", "/orders"
		routing(createRoute(), members...)(f)
	}
}

// routing has a single route, with members changed.
func routing(route object, members ...any) caseOption {
	for name, value := range pairs(members...) {
		route = change(route, name, value)
	}
	return configure("routes", []any{route})
}

// cedar defines one more policy.
func cedar(name, text string) caseOption {
	return func(f *filterCase) {
		policies := f.Configuration["policies"].(object)["cedar"].(object)
		configure("policies", object{"cedar": change(policies, name, text)})(f)
	}
}

func kestMember(members ...any) caseOption { return configure("kest", pairs(members...)) }

func propagation(members ...any) caseOption {
	return configure("propagation", pairs(members...))
}

func lineageMember(members ...any) caseOption {
	return configure("lineage", pairs(members...))
}

// pairs makes an object of names and values in turn.
func pairs(list ...any) object {
	o := object{}
	for i := 0; i < len(list); i += 2 {
		o[list[i].(string)] = list[i+1]
	}
	return o
}

// remark explains a case to its reader.
func remark(text string) caseOption { return func(f *filterCase) { f.Note = text } }

func header(name, value string) caseOption {
	return func(f *filterCase) { f.Request.Headers = append(f.Request.Headers, [2]string{name, value}) }
}

func withoutTrace(f *filterCase) { f.Request.Headers = [][2]string{} }

func path(text string) caseOption        { return func(f *filterCase) { f.Request.Path = text } }
func method(text string) caseOption      { return func(f *filterCase) { f.Request.Method = text } }
func authorityOf(text string) caseOption { return func(f *filterCase) { f.Request.Authority = text } }

func wantEntry(members ...any) caseOption {
	return func(f *filterCase) {
		if f.Expect.Entry == nil {
			f.Expect.Entry = object{}
		}
		maps.Copy(f.Expect.Entry, pairs(members...))
	}
}

func wantEntries(n int) caseOption { return func(f *filterCase) { f.Expect.Entries = n } }

func wantBaggage(members ...any) caseOption {
	return func(f *filterCase) {
		if f.Expect.Baggage == nil {
			f.Expect.Baggage = object{}
		}
		maps.Copy(f.Expect.Baggage, pairs(members...))
	}
}

// bag is one baggage header of the members.
func bag(members ...string) caseOption { return header("baggage", strings.Join(members, ",")) }

// percent encodes all but RFC 3986's unreserved characters.
func percent(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + string(digits[c>>4]) + string(digits[c&15]))
		}
	}
	return b.String()
}

// carrying is kest.passport and kest.chain_tip of a line of entries.
func carrying(entries ...string) caseOption {
	return bag(plainCarrier(entries...), tip(hash(entries[len(entries)-1])))
}

func plainCarrier(entries ...string) string { return "kest.passport=" + percent(passport(entries...)) }

func tip(hashes ...string) string { return "kest.chain_tip=" + percent(strings.Join(hashes, ",")) }

// fromGateway is the passport of one root by the gateway, trust 40.
func fromGateway() string { return (&maker{}).root(gateway, "user_input", 40).sign() }

// actor is the label kest.identity.
func actor(user, agent, task any) string {
	return string(canonical(object{"user": user, "agent": agent, "task": task}))
}
