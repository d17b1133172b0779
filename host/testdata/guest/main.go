//go:build wasip1

// The guest of the host's tests: what it does follows from the request's path.
package main

import (
	"crypto/rand"
	"encoding/hex"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"kest.example/kest/plugin/proxywasm"
)

func init() {
	proxywasm.Run(func(h proxywasm.Host) proxywasm.VM {
		return &guest{
			host: h, calls: make(map[uint32]call), paths: make(map[uint32]*url.URL),
			waiting: make(map[uint32]bool), kept: make(map[uint32]bool),
		}
	})
}

func main() {}

type call struct {
	id   uint32
	pass bool
}

type guest struct {
	proxywasm.BaseVM
	host    proxywasm.Host
	calls   map[uint32]call
	paths   map[uint32]*url.URL
	waiting map[uint32]bool // for a tick
	kept    map[uint32]bool // on_done said false
	ticks   int
}

func (g *guest) Configure(_ uint32, size int) bool {
	b, s := g.host.Buffer(proxywasm.PluginConfiguration, 0, size)
	if s != proxywasm.OK {
		g.log("configuration: " + s.String())
		return false
	}
	for _, word := range strings.Fields(string(b)) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "refuse":
			g.host.Log(proxywasm.LogError, "routes[3]: no such thing as "+value)
			return false
		case "panic":
			panic("at configure")
		case "exit":
			os.Exit(2)
		case "spin":
			spin()
		case "tick":
			n, _ := strconv.Atoi(value)
			g.host.SetTickPeriod(time.Duration(n) * time.Millisecond)
		case "call":
			g.host.HTTPCall(value, fields("GET", "/configure"), nil, time.Second)
		}
	}
	return true
}

func (g *guest) Tick(uint32) {
	g.ticks++
	g.log("tick " + strconv.Itoa(g.ticks))
	for id := range g.waiting {
		if g.host.SetEffectiveContext(id) == proxywasm.OK {
			g.host.ReplaceHeader(proxywasm.RequestHeaders, "x-ticks", strconv.Itoa(g.ticks))
			g.host.ContinueStream(proxywasm.RequestStream)
		}
		delete(g.waiting, id)
	}
	for id := range g.kept {
		g.host.SetEffectiveContext(id)
		g.log("done " + proxywasm.Status(done()).String())
		delete(g.kept, id)
	}
}

func (g *guest) log(text string) { g.host.Log(proxywasm.LogInfo, text) }

func (g *guest) pairs() []proxywasm.Pair {
	pairs, s := g.host.Pairs(proxywasm.RequestHeaders)
	if s != proxywasm.OK {
		panic(s.String())
	}
	return pairs
}

func (g *guest) RequestHeaders(id uint32, n int, end bool) proxywasm.Action {
	pairs := g.pairs()
	path := ""
	for _, p := range pairs {
		if p.Name == ":path" {
			path = p.Value
		}
	}
	u, err := url.Parse(path)
	if err != nil || n != len(pairs) {
		panic("path " + path)
	}
	g.paths[id] = u
	return g.act(id, u, end)
}

func (g *guest) act(id uint32, u *url.URL, end bool) proxywasm.Action {
	q := u.Query()
	switch u.Path {
	case "/echo":
		return g.echo(end)
	case "/edit":
		return g.edit(q)
	case "/deny":
		body := `{"status":403}`
		g.host.SendLocalResponse(403, "denied", []proxywasm.Pair{{Name: "content-type", Value: "application/problem+json"}, {Name: "x-twice", Value: "1"}, {Name: "x-twice", Value: "2"}}, []byte(body), 7)
	case "/continue-deny": // an answer beats the action
		g.host.SendLocalResponse(403, "denied", nil, nil, 7)
		return proxywasm.Continue
	case "/pause", "/close":
		if u.Path == "/close" {
			closeStream(0)
		}
	case "/call", "/callpass":
		return g.call(id, q, u.Path == "/callpass")
	case "/wait":
		g.waiting[id] = true
	case "/resume": // continue within the callback
		g.host.ContinueStream(proxywasm.RequestStream)
	case "/state":
		g.state(q.Get("key"), q.Get("value"))
		g.host.SetProperty([]string{"kest.property"}, []byte(q.Get("value")))
		return proxywasm.Continue
	case "/count":
		g.answer(strconv.Itoa(g.count()))
	case "/time":
		g.answer(strconv.FormatInt(time.Now().UnixNano(), 10))
	case "/random":
		b := make([]byte, 16)
		_, _ = rand.Read(b)
		g.answer(hex.EncodeToString(b))
	case "/foreign":
		b, s := g.host.CallForeign(q.Get("name"), []byte(q.Get("argument")))
		g.answer(s.String() + " " + hex.EncodeToString(b))
	case "/kestrandom":
		b, s := g.host.CallForeign("kest.random", []byte{8, 0, 0, 0})
		g.answer(s.String() + " " + hex.EncodeToString(b))
	case "/property":
		b, s := g.host.Property(strings.Split(q.Get("path"), ".")...)
		g.answer(s.String() + " " + string(b))
	case "/setproperty":
		g.host.SetProperty([]string{"a", "b"}, []byte("mine"))
		b, s := g.host.Property("a", "b")
		g.answer(s.String() + " " + string(b))
	case "/grow":
		g.answer(strconv.Itoa(grow(q.Get("mib"))))
	default:
		return g.misbehave(u.Path, q)
	}
	return proxywasm.Pause
}

func (g *guest) misbehave(path string, q url.Values) proxywasm.Action {
	switch path {
	case "/panic":
		panic("at will")
	case "/exit":
		os.Exit(3)
	case "/spin":
		spin()
	case "/work":
		n, _ := strconv.Atoi(q.Get("ms"))
		for end := time.Now().Add(time.Duration(n) * time.Millisecond); time.Now().Before(end); {
			sink++
		}
		g.answer("done")
		return proxywasm.Pause
	case "/recurse":
		sink += int(fibonacci(90))
	case "/block": // "all goroutines are asleep", which can't be recovered
		select {}
	case "/sleep":
		time.Sleep(time.Hour)
	case "/stderr":
		println("to standard error")
	}
	return proxywasm.Continue
}

var (
	sink  int
	hoard [][]byte
)

func spin() {
	for {
		sink++
	}
}

func fibonacci(n int) uint64 {
	if n < 2 {
		return 1
	}
	return fibonacci(n-1) + fibonacci(n-2)
}

func grow(mib string) int {
	n, _ := strconv.Atoi(mib)
	for range n {
		b := make([]byte, 1<<20)
		b[len(b)-1] = 1
		hoard = append(hoard, b)
	}
	n = len(hoard)
	hoard = nil
	return n
}

func (g *guest) answer(body string) { g.host.SendLocalResponse(200, "", nil, []byte(body), -1) }

func (g *guest) echo(end bool) proxywasm.Action {
	var b strings.Builder
	for _, p := range g.pairs() {
		b.WriteString(p.Name + ": " + p.Value + "\n")
	}
	b.WriteString("end: " + strconv.FormatBool(end) + "\n")
	g.answer(b.String())
	return proxywasm.Pause
}

func (g *guest) edit(q url.Values) proxywasm.Action {
	m := proxywasm.RequestHeaders
	var s []string
	for _, st := range []proxywasm.Status{
		g.host.ReplaceHeader(m, "X-Edited", "yes"), g.host.RemoveHeader(m, "x-remove"), g.host.AddHeader(m, "x-multi", "c"),
		g.host.ReplaceHeader(m, "x-many", "one"), g.host.RemoveHeader(m, "x-never-there"),
		g.host.ReplaceHeader(m, "bad name", "x"), g.host.ReplaceHeader(m, "x-split", "a\r\nb: c"), g.host.ReplaceHeader(m, ":status", "200"),
		g.host.ReplaceHeader(proxywasm.ResponseHeaders, "x-early", "x"),
	} {
		s = append(s, st.String())
	}
	for name, value := range map[string]string{":path": q.Get("path"), "host": q.Get("host"), ":method": q.Get("method")} {
		if value != "" {
			g.host.ReplaceHeader(m, name, value)
		}
	}
	g.host.AddHeader(m, "x-statuses", strings.Join(s, ","))
	return proxywasm.Continue
}

func fields(method, path string) []proxywasm.Pair {
	return []proxywasm.Pair{{Name: ":method", Value: method}, {Name: ":path", Value: path}, {Name: ":authority", Value: "callee"}, {Name: "x-call", Value: "1"}}
}

func (g *guest) call(id uint32, q url.Values, pass bool) proxywasm.Action {
	ms, _ := strconv.Atoi(q.Get("ms"))
	headers := fields("POST", q.Get("path"))
	if q.Get("path") == "" {
		headers = headers[:1]
	}
	n, s := g.host.HTTPCall(q.Get("cluster"), headers, []byte("the body"), time.Duration(ms)*time.Millisecond)
	if s != proxywasm.OK {
		g.answer("call: " + s.String())
		return proxywasm.Pause
	}
	g.calls[n] = call{id, pass}
	return proxywasm.Pause
}

func (g *guest) HTTPCallResponse(_, n uint32, headers, size, trailers int) {
	c, ok := g.calls[n]
	delete(g.calls, n)
	body, s := g.host.Buffer(proxywasm.HTTPCallResponseBody, 0, size)
	pairs, _ := g.host.Pairs(proxywasm.HTTPCallResponseHeaders)
	status := "failed"
	for _, p := range pairs {
		if p.Name == ":status" {
			status = p.Value
		}
	}
	g.log("answer " + status)
	if !ok || len(pairs) != headers {
		return
	}
	if effective := g.host.SetEffectiveContext(c.id); effective != proxywasm.OK {
		g.log("the caller has gone")
		return
	}
	if c.pass {
		g.host.ReplaceHeader(proxywasm.RequestHeaders, "x-call-status", status)
		g.host.ContinueStream(proxywasm.RequestStream)
		return
	}
	g.answer(status + " " + s.String() + " " + string(body) + " " + strconv.Itoa(trailers))
}

// count adds one to a number that all instances share.
func (g *guest) count() int {
	for {
		b, cas, s := g.host.SharedData("count")
		n := 0
		if s == proxywasm.OK {
			n, _ = strconv.Atoi(string(b))
		}
		if g.host.SetSharedData("count", []byte(strconv.Itoa(n+1)), cas) == proxywasm.OK {
			return n + 1
		}
	}
}

func (g *guest) state(key, value string) {
	b := append([]byte{1<<3 | 2, byte(len(key))}, key...)
	b = append(append(b, 2<<3|2, byte(len(value))), value...)
	if _, s := g.host.CallForeign(proxywasm.SetFilterState, append(b, 3<<3, 1)); s != proxywasm.OK {
		panic(s.String())
	}
}

func (g *guest) ResponseHeaders(id uint32, _ int, _ bool) proxywasm.Action {
	m := proxywasm.ResponseHeaders
	q := g.paths[id].Query()
	switch q.Get("response") {
	case "edit":
		g.host.ReplaceHeader(m, "x-response", "edited")
		g.host.RemoveHeader(m, "x-secret")
		g.host.ReplaceHeader(m, ":status", "202")
	case "deny":
		g.host.SendLocalResponse(403, "denied", nil, []byte("no response"), 7)
		return proxywasm.Pause
	case "pause":
		return proxywasm.Pause
	case "panic":
		panic("in the response")
	case "exit":
		os.Exit(4)
	case "call":
		n, _ := g.host.HTTPCall("callee", fields("GET", "/"), nil, time.Second)
		g.calls[n] = call{id, false}
		return proxywasm.Pause
	}
	return proxywasm.Continue
}

func (g *guest) Done(id uint32) bool {
	if g.paths[id] != nil && g.paths[id].Query().Has("keep") {
		g.kept[id] = true // until the next tick
		return false
	}
	return true
}

func (g *guest) Log(id uint32) {
	if u := g.paths[id]; u != nil {
		g.log("ended " + u.Path + " headers " + strconv.Itoa(len(g.pairs())))
	}
}

func (g *guest) Delete(id uint32) {
	delete(g.paths, id)
	delete(g.waiting, id)
}

//go:wasmimport env proxy_close_stream
func closeStream(stream uint32) uint32

//go:wasmimport env proxy_done
func done() uint32
