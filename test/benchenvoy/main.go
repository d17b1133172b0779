// Command benchenvoy measures what filters add to a request in a real Envoy:
// an empty Go filter, Envoy's own jwt_authn with an EdDSA token, and Kest at a
// root and with three entries that are new each time.
//
//	make bench-envoy
//
// One Envoy, one worker, one request in flight. Blocks of requests to each
// listener alternate with blocks to a plain one, and the difference in the
// CPU time of the process counts, so that a noisy machine weighs on both.
package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kest.example/kest/internal/envoytest"
)

func main() {
	rounds := flag.Int("rounds", 15, "alternating pairs of blocks for each filter")
	block := flag.Int("block", 400, "requests in a block")
	only := flag.String("only", "", "measure only jwt_authn and what has this text in its name, for a profiler")
	flag.Parse()
	if err := run(*rounds, *block, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench-envoy:", err)
		os.Exit(1)
	}
}

// subject is one listener and what is sent there.
type subject struct {
	name    string
	port    int
	headers []http.Header // sent in turn

	added []time.Duration // CPU a request above plain, a round each
	p50   []time.Duration // above plain's in the same round
}

func run(rounds, block int, only string) error {
	dir, err := os.MkdirTemp("", "kest-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	empty := filepath.Join(dir, "empty.wasm")
	build := exec.Command("go", "build", "-tags", "force64bit", "-trimpath", "-ldflags=-s -w", "-buildmode=c-shared", "-o", empty, "./test/benchenvoy/empty")
	build.Dir, build.Env = envoytest.Root(), append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("the empty filter: %w\n%s", err, out)
	}
	ports, err := envoytest.FreePorts(6)
	if err != nil {
		return err
	}
	plain := &subject{name: "plain", port: ports[1], headers: []http.Header{{}}}
	subjects := []*subject{
		{name: "empty Go filter", port: ports[2], headers: []http.Header{{}}},
		{name: "jwt_authn, EdDSA", port: ports[3], headers: []http.Header{{"Authorization": {"Bearer " + token()}}}},
		{name: "kest, root", port: ports[4], headers: []http.Header{{}}},
		{name: "kest, 3 entries", port: ports[5], headers: passports((rounds + 1) * block)},
	}
	subjects = slices.DeleteFunc(subjects, func(s *subject) bool {
		return s.port != ports[3] && !strings.Contains(s.name, only)
	})
	start := time.Now()
	envoy, err := envoytest.Start(configuration(ports, empty), fmt.Sprintf("127.0.0.1:%d", ports[0]), 1)
	if err != nil {
		return err
	}
	defer envoy.Stop()
	cpu, err := envoy.CPU()
	if err != nil {
		return err
	}
	fmt.Printf("start-up: %.1f s, %.1f CPU-seconds (both Go filters compiled)\n", time.Since(start).Seconds(), cpu.Seconds())
	if err := measure(envoy, plain, subjects, rounds, block); err != nil {
		return fmt.Errorf("%w\n%s", err, tail(envoy.Log()))
	}
	report(subjects)
	return nil
}

func tail(log string) string {
	lines := strings.Split(log, "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

func measure(envoy *envoytest.Envoy, plain *subject, subjects []*subject, rounds, block int) error {
	next := make(map[*subject]int)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
	send := func(s *subject) (time.Duration, time.Duration, error) {
		before, err := envoy.CPU()
		if err != nil {
			return 0, 0, err
		}
		took := make([]time.Duration, block)
		for i := range block {
			start := time.Now()
			if err := request(client, s.port, s.headers[next[s]%len(s.headers)]); err != nil {
				return 0, 0, fmt.Errorf("%s: %w", s.name, err)
			}
			took[i] = time.Since(start)
			next[s]++
		}
		after, err := envoy.CPU()
		return (after - before) / time.Duration(block), median(took), err
	}
	for round := range rounds + 1 {
		for _, s := range subjects {
			base, baseP50, err := send(plain)
			if err != nil {
				return err
			}
			cpu, p50, err := send(s)
			if err != nil {
				return err
			}
			if round > 0 { // the first warms up
				s.added, s.p50 = append(s.added, cpu-base), append(s.p50, p50-baseP50)
			}
		}
	}
	return nil
}

func request(client *http.Client, port int, headers http.Header) error {
	r, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/orders/7", port), nil)
	if err != nil {
		return err
	}
	r.Header = headers.Clone()
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	return err
}

func median(list []time.Duration) time.Duration {
	list = slices.Clone(list)
	slices.Sort(list)
	return list[len(list)/2]
}

func report(subjects []*subject) {
	jwt := 0.0
	for _, s := range subjects {
		if strings.HasPrefix(s.name, "jwt") {
			jwt = float64(median(s.added))
		}
	}
	fmt.Printf("\n%-18s %14s %14s %12s\n", "", "added CPU", "added p50", "x jwt_authn")
	for _, s := range subjects {
		fmt.Printf("%-18s %11.1f us %11.1f us %12.2f\n", s.name, micro(median(s.added)), micro(median(s.p50)), float64(median(s.added))/jwt)
	}
	fmt.Println("\ntargets: kest at a root at most 1.5 x jwt_authn, with 3 entries at most 6 x")
}

func micro(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

func seedKey(c string) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat(c, 32)))
}

func publicX(c string) string {
	k := seedKey(c)
	return base64.RawURLEncoding.EncodeToString(k[32:])
}

// token is a JWT of ordinary size, valid for a day.
func token() string {
	enc := base64.RawURLEncoding.EncodeToString
	head := enc([]byte(`{"alg":"EdDSA","kid":"k","typ":"JWT"}`))
	body := enc(fmt.Appendf(nil, `{"iss":"https://issuer.example.org","sub":"alice@example.org","aud":"orders","client_id":"agent-7","scope":"orders.read","iat":%d,"exp":%d,"jti":"01a213b6-2029-72cb-b564-50a52e4acaf6"}`,
		time.Now().Unix(), time.Now().Add(24*time.Hour).Unix()))
	input := head + "." + body
	return input + "." + enc(ed25519.Sign(seedKey("j"), []byte(input)))
}
