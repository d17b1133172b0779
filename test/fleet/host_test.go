package fleet_test

import (
	"os"
	"testing"

	"kest.example/kest/test/fleet"
)

var cacheDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "kest-fleet-cache-")
	if err != nil {
		panic(err)
	}
	cacheDir = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func TestCallouts(t *testing.T)  { fleet.Run(t, fleet.Callouts(cacheDir)) }
func TestFunctions(t *testing.T) { fleet.Run(t, fleet.Functions(cacheDir)) }
func TestEgress(t *testing.T)    { fleet.RunEgress(t, fleet.HostPair(cacheDir), 1) }
func TestUser(t *testing.T)      { fleet.RunUser(t, fleet.Functions(cacheDir)) }
func TestPeer(t *testing.T)      { fleet.RunPeer(t, fleet.Functions(cacheDir)) }
func TestInstances(t *testing.T) { fleet.RunInstances(t, cacheDir) }
func TestEngines(t *testing.T)   { fleet.RunEngines(t, fleet.Callouts(cacheDir)) }
