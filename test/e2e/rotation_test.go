//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kest.example/kest/internal/envoytest"
	"kest.example/kest/test/fleet"
)

// A hundred thousand requests through two workloads on four workers each, whose
// session keys, SVIDs and roots rotate all the while: none is refused.
func TestRotationUnderLoad(t *testing.T) {
	const requests, rotations, clients = 100_000, 20, 16
	f := fleet.New(t)
	short := []fleet.Option{fleet.WithSessionTTL(3 * time.Second)}
	orders, stock := f.Workload("orders", short).Serve(), f.Workload("stock", short).Serve()
	backend := fleet.NewBackend(t)
	ports, err := envoytest.FreePorts(3)
	if err != nil {
		t.Fatal(err)
	}
	y := newYAML(ports[0])
	y.cluster("upstream", backend.Listener.Addr().String())
	y.cluster("stock", fmt.Sprintf("127.0.0.1:%d", ports[2]))
	y.unixCluster("kest_agent", orders.Socket)
	y.unixCluster("stock_agent", stock.Socket)
	file := filepath.Join(envoytest.Root(), "wasm", "policy.wasm")
	first := fleet.Config("", "")
	second := strings.NewReplacer("example.org/orders", "example.org/stock", "kest_agent", "stock_agent", `, "root": {"origin": "user_input"}`, "").Replace(first)
	y.listener(ports[1], wasmFilter("kest", file, configurationOf(t, first)), "stock")
	y.listener(ports[2], wasmFilter("kest", file, configurationOf(t, second)), "upstream")
	e, err := envoytest.Start(y.String(), fmt.Sprintf("127.0.0.1:%d", ports[0]), 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)

	stop := make(chan struct{})
	go rotate(f, stop, orders, stock)
	var sent, refused atomic.Int64
	var group sync.WaitGroup
	done := func() bool {
		return sent.Load() >= requests && rotated(e, "orders") >= rotations && rotated(e, "stock") >= rotations
	}
	for range clients {
		group.Go(func() {
			client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for n := 0; n%100 != 0 || !done(); n++ {
				if status, body := fetch(client, fmt.Sprintf("http://127.0.0.1:%d/orders/7", ports[1])); status != http.StatusOK {
					if refused.Add(1) < 5 {
						t.Errorf("a request is answered with %d %s", status, body)
					}
				}
				sent.Add(1)
			}
		})
	}
	group.Wait()
	close(stop)
	t.Logf("%d requests, %d refused, %d keys of orders and %d of stock", sent.Load(), refused.Load(), rotated(e, "orders"), rotated(e, "stock"))
	if n, _ := backend.Visits(); refused.Load() > 0 || int64(n) != sent.Load() {
		t.Errorf("%d of %d requests were refused, %d reached the upstream", refused.Load(), sent.Load(), n)
	}
}

// rotate has the SVIDs rotate every two seconds, and the root every ten.
func rotate(f *fleet.Fleet, stop chan struct{}, list ...*fleet.Workload) {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		if n%5 == 0 {
			f.CA.UseRoot(f.CA.AddRoot()) // the old ones stay in the bundle, as SPIRE leaves them
		}
		for _, w := range list {
			w.API.RotateSVID()
		}
	}
}

// rotated is how often each VM that signs as a workload has changed its key: the
// least of them.
func rotated(e *envoytest.Envoy, workload string) int {
	keys := 0
	for line := range strings.Lines(e.Log()) {
		if strings.Contains(line, "signing with the key") && strings.HasSuffix(strings.TrimSpace(line), "/"+workload) {
			keys++
		}
	}
	return keys/5 - 1 // four workers, and the main thread's VM
}

func fetch(client *http.Client, url string) (status int, body string) {
	response, err := client.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(b)
}
