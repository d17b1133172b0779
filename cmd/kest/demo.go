package main

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"kest.example/kest"
	"kest.example/kest/baggage"
	"kest.example/kest/host"
	"kest.example/kest/identityhost"
	"kest.example/kest/internal/draw"
	"kest.example/kest/internal/forge"
	"kest.example/kest/wasm"
)

//go:embed demo/*.yaml
var demoFiles embed.FS

type demoCmd struct {
	Verbose bool `short:"v" help:"Show what the filters log."`
}

func (demoCmd) Help() string {
	return "Example:\n  kest demo\n\nThree services, edge, agent and orders, each behind policy.wasm on wazero. No network is used."
}

// hop is one service behind its filter.
type hop struct {
	filter  *host.Filter
	handler http.Handler
}

// demo is the three hops, and what the last one was sent.
type demo struct {
	c    console
	hops map[string]*hop
	seen string // the baggage of the last request that reached a service
}

// Run sends the requests. Its exit code is 1 when one isn't answered as it should be.
func (d *demoCmd) Run(c console) error {
	bytecode, err := wasm.Policy()
	if err != nil {
		return err
	}
	logs := io.Discard
	if d.Verbose {
		logs = c.err
	}
	show := &demo{c: c, hops: make(map[string]*hop)}
	start := time.Now()
	fmt.Fprintln(c.out, "compiling policy.wasm for three services …")
	defer show.close()
	for _, name := range []string{"edge", "agent", "orders"} {
		if err := show.start(name, bytecode, logs); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.out, "ready after %.1f s\n\n", time.Since(start).Seconds())
	return show.run()
}

func (d *demo) start(name string, bytecode []byte, logs io.Writer) error {
	text, err := demoFiles.ReadFile("demo/" + name + ".yaml")
	if err != nil {
		return err
	}
	configuration, err := console{in: bytes.NewReader(text)}.readDocument("-")
	if err != nil {
		return fmt.Errorf("demo/%s.yaml: %w", name, err)
	}
	filter, err := host.New(context.Background(), bytecode, configuration,
		host.WithLogger(slog.New(slog.NewTextHandler(logs, nil))), host.WithPool(1),
		host.WithFunctions(hostFunctions(identityhost.New(nil).Functions())))
	if err != nil {
		return err
	}
	d.hops[name] = &hop{filter, filter.Handler(http.HandlerFunc(d.app))}
	return nil
}

func (d *demo) close() {
	for _, h := range d.hops {
		_ = h.filter.Close(context.Background())
	}
}

// app is every service: it calls the next one and forwards baggage and
// traceparent, and knows nothing of Kest.
func (d *demo) app(w http.ResponseWriter, r *http.Request) {
	d.seen = strings.Join(r.Header.Values("Baggage"), ",")
	next, path := "", ""
	switch {
	case strings.HasPrefix(r.URL.Path, "/ask/"):
		next, path = "agent", "/plan/"+strings.TrimPrefix(r.URL.Path, "/ask/")
	case strings.HasPrefix(r.URL.Path, "/plan/"):
		next, path = "orders", "/orders/"+strings.TrimPrefix(r.URL.Path, "/plan/")
	default:
		_, _ = io.WriteString(w, "done\n")
		return
	}
	answer := d.send(next, path, r.Header)
	w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

func (d *demo) send(to, path string, from http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "http://"+to+".example.org"+path, nil)
	for _, name := range [...]string{"Baggage", "Traceparent"} {
		r.Header[name] = from.Values(name)
	}
	answer := httptest.NewRecorder()
	d.hops[to].handler.ServeHTTP(answer, r)
	return answer
}

func (d *demo) run() error {
	good := d.ask("1. A user asks for a refund: edge → agent → orders", "edge", "/ask/refund", nil, http.StatusOK)
	first := d.seen
	denied := d.ask("2. The same way to a deletion: a policy of orders forbids it to what no person has checked",
		"edge", "/ask/delete", nil, http.StatusForbidden)
	tampered := d.ask("3. The first request's passport again, the trust in its second entry raised to 100",
		"orders", "/orders/refund", bagOf(forge.Trust(forge.Entries(first), 1)), http.StatusForbidden)
	cut := d.ask("4. That passport without its last two entries, to look less tainted than it is",
		"orders", "/orders/refund", shorten(first), http.StatusForbidden)
	none := d.ask("5. No passport at all, past the edge", "orders", "/orders/refund", nil, http.StatusForbidden)
	d.speed(first)
	if !good || !denied || !tampered || !cut || !none {
		return errNo
	}
	return nil
}

// ask sends one request and prints the verdict and how long it took.
func (d *demo) ask(title, to, path string, header http.Header, want int) bool {
	d.seen = ""
	fmt.Fprintln(d.c.out, title)
	start := time.Now()
	answer := d.send(to, path, header)
	took := time.Since(start)
	fmt.Fprintf(d.c.out, "   %d %s in %.2f ms\n", answer.Code, http.StatusText(answer.Code), float64(took.Microseconds())/1000)
	sent := header.Get("Baggage")
	switch {
	case answer.Code == http.StatusOK:
		fmt.Fprint(d.c.out, draw.Baggage(d.seen, "   "))
	case d.seen != "":
		fmt.Fprintf(d.c.out, "   %s\n   the lineage as far as it came:\n%s", answer.Body, draw.Baggage(d.seen, "     "))
	case sent != "":
		fmt.Fprintf(d.c.out, "   %s\n   what was sent says, and did not verify:\n%s", answer.Body, draw.Baggage(sent, "     "))
	default:
		fmt.Fprintf(d.c.out, "   %s\n", answer.Body)
	}
	fmt.Fprintln(d.c.out)
	if answer.Code != want {
		fmt.Fprintf(d.c.out, "   that should have been %d\n\n", want)
	}
	return answer.Code == want
}

// speed tells what a hop costs once everything is warm.
func (d *demo) speed(bag string) {
	const n = 200
	header := http.Header{"Baggage": {bag}}
	start := time.Now()
	for range n {
		d.send("orders", "/orders/refund", header)
	}
	fmt.Fprintf(d.c.out, "A hop that verifies three known entries, decides and signs: %.2f ms (mean of %d)\n",
		time.Since(start).Seconds()*1000/n, n)
}

func bagOf(entries []string) http.Header { return http.Header{"Baggage": {forge.Header(entries)}} }

// shorten keeps the first entry and the tip of all.
func shorten(bag string) http.Header {
	entries := forge.Entries(bag)
	if len(entries) < 2 {
		return nil
	}
	header := bagOf(entries[:1])
	header["Baggage"][0] += "," + baggage.ChainTip + "=" + kest.Hash(entries[len(entries)-1])
	return header
}
