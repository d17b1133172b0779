package bench

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/baggage"
	"kest.example/kest/plugin"
)

// forged is a request by its baggage, and the status that it gets.
type forged struct {
	name   string
	bag    string
	status int
}

// requests32 makes an accepted request of 32 entries and refused ones that go
// as far as they can before they are refused.
func requests32(b *testing.B, headers [][]plugin.Header) []forged {
	b.Helper()
	entries := entriesOf(b, headers[0])
	other := entriesOf(b, headers[1])
	change := func(i int) []string {
		out := append([]string{}, entries...)
		// The signature of another entry of the same workload: well formed, and wrong.
		out[i] = out[i][:strings.LastIndexByte(out[i], '.')] + other[i][strings.LastIndexByte(other[i], '.'):]
		return out
	}
	bag := func(entries []string) string {
		return baggage.Passport + "=" + url.PathEscape(kest.NewPassport(entries...).String())
	}
	tip := bag(entries) + "," + baggage.ChainTip + "=" + strings.Repeat("0", 64)
	return []forged{
		{"accepted", bag(entries), 200},
		{"last-signature", bag(change(31)), 403},
		{"first-of-batch", bag(relinked(b, entries, other, 0)), 403},
		{"wrong-tip", tip, 403},
		{"bomb-within-the-bound", baggage.PassportZ + "=" + bomb(`["`+strings.Join(entries, "")[:24000]+strings.Repeat("A", 100<<10)+`"]`), 403},
		{"bomb-of-zeros", baggage.PassportZ + "=" + bomb(strings.Repeat("\x00", 1<<20)), 400},
		{"bomb-over-the-bound", baggage.PassportZ + "=" + bomb(strings.Repeat("A", 8<<20)), 400},
		{"many-strings", baggage.Passport + "=" + url.PathEscape("["+strings.Repeat(`"",`, 20000)+`""]`), 403},
		{"many-members", strings.Repeat("a=b,", 100000), 400},
	}
}

// relinked gives entry i a wrong signature and the entries behind it parents
// and signatures that hold, as only an insider could: the whole batch is done
// before it fails.
func relinked(b *testing.B, entries, other []string, i int) []string {
	b.Helper()
	bad := entries[i][:strings.LastIndexByte(entries[i], '.')] + other[i][strings.LastIndexByte(other[i], '.'):]
	return rechain(b, append(append([]string{}, entries[:i]...), bad), i+1, entries)
}

func bomb(text string) string {
	var buf bytes.Buffer
	z := zlib.NewWriter(&buf)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return base64.RawURLEncoding.EncodeToString(buf.Bytes())
}

func entriesOf(b *testing.B, headers []plugin.Header) []string {
	b.Helper()
	in, err := baggage.Parse([]string{baggageOf(b, headers)}, baggage.ReadOptions{})
	if err != nil {
		b.Fatal(err)
	}
	return in.Passport.Entries()
}

// BenchmarkForgery compares the dearest refused requests with an accepted one
// of 32 entries: none may cost more than twice as much. Signatures are not
// remembered between requests, since each has a filter that just began.
func BenchmarkForgery(b *testing.B) {
	headers, keys := passports(b, 200, 32)
	list := requests32(b, headers)
	config := strings.Replace(configuration("z", true, keys), `"propagation"`, `"lineage": {"limits": {"entries": 32}}, "propagation"`, 1)
	for _, f := range list {
		b.Run("native/"+f.name, func(b *testing.B) {
			r := request([]plugin.Header{{Name: "baggage", Value: f.bag}})
			for b.Loop() {
				b.StopTimer()
				filter := newFilter(b, config)
				b.StartTimer()
				if _, step := filter.Begin(r); status(step) != f.status {
					b.Fatalf("status %d, want %d", status(step), f.status)
				}
			}
		})
	}
	handler := wasmHandler(b, config)
	send := func(b *testing.B, bag string, want int) {
		r := httptest.NewRequest(http.MethodGet, "http://orders.example.org/orders/7", nil)
		r.Header.Set("baggage", bag)
		w := httptest.NewRecorder()
		if handler.ServeHTTP(w, r); w.Code != want {
			b.Fatalf("status %d, want %d", w.Code, want)
		}
	}
	// A guest remembers 4096 good signatures: 200 passports in turn are always new
	// to it, in runs behind one another too.
	sent := 0
	b.Run("wazero/accepted", func(b *testing.B) {
		for b.Loop() {
			send(b, baggageOf(b, headers[sent%len(headers)]), 200)
			sent++
		}
	})
	for _, f := range list[1:] {
		b.Run("wazero/"+f.name, func(b *testing.B) {
			for b.Loop() {
				send(b, f.bag, f.status)
			}
		})
	}
}

func baggageOf(b *testing.B, headers []plugin.Header) string {
	b.Helper()
	for _, h := range headers {
		if h.Name == "baggage" {
			return h.Value
		}
	}
	b.Fatal("no baggage")
	return ""
}

// rechain gives the entries from the given one on the parent before them, and signs them anew.
func rechain(b *testing.B, entries []string, from int, all []string) []string {
	b.Helper()
	for i := from; i < len(all); i++ {
		ev, err := kest.ParseEvidence(all[i], kest.SchemaStrict)
		if err != nil {
			b.Fatal(err)
		}
		e := *ev.Entry
		e.ParentIDs = []string{kest.Hash(entries[i-1])}
		name := strings.TrimPrefix(e.Principal(), "spiffe://example.org/")
		id, err := kest.SeedIdentity(e.Principal(), []byte(strings.Repeat(name, 32)))
		if err != nil {
			b.Fatal(err)
		}
		evidence, err := id.SignEntry(context.Background(), &e, time.Now())
		if err != nil {
			b.Fatal(err)
		}
		entries = append(entries, evidence)
	}
	return entries
}

func status(s plugin.Step) int {
	if s.Kind == plugin.Continue {
		return 200
	}
	return s.Response.Status
}
