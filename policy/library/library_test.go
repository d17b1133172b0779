package library_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"kest.example/kest/plugin"
	"kest.example/kest/policy/check"
	"kest.example/kest/policy/library"
	"kest.example/kest/policy/table"
)

func TestModels(t *testing.T) {
	each(t, func(t *testing.T, m *library.Model) {
		if m.Policy() != "kest/library/"+m.Name || m.Title == "" || strings.HasPrefix(m.Title, "#") {
			t.Errorf("%q, %q", m.Policy(), m.Title)
		}
		for _, name := range []string{m.Name, m.Policy()} {
			if same, known := library.Find(name); !known || same != *m {
				t.Errorf("%s isn't found: %v", name, known)
			}
		}
		if !strings.Contains(m.Page, "`"+m.Policy()+"`") {
			t.Error("the page doesn't name the policy")
		}
		for _, part := range []string{"## Rules", "## What it needs", "## What it doesn't cover", "## Source"} {
			if !strings.Contains(m.Page, part) {
				t.Errorf("the page has no %q", part)
			}
		}
	})
	for _, name := range []string{"", "biba.cedar", "../library", library.Prefix, "Biba"} {
		if _, known := library.Find(name); known {
			t.Errorf("there is a model %q", name)
		}
	}
}

// What kest policy check finds in files that somebody starts with: nothing.
func TestPoliciesPassCheck(t *testing.T) {
	each(t, func(t *testing.T, m *library.Model) {
		for _, f := range check.Cedar(m.Name+".cedar", 1, m.Name, m.Cedar) {
			t.Error(f)
		}
		faults, err := check.Rego(os.DirFS(m.Name), m.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range faults {
			t.Error(f)
		}
	})
}

// What somebody starts with in one language stands alone in a folder.
func TestFiles(t *testing.T) {
	each(t, func(t *testing.T, m *library.Model) {
		for _, language := range []string{library.Cedar, library.Rego} {
			dir := t.TempDir()
			for _, f := range m.Files(language) {
				if err := os.WriteFile(filepath.Join(dir, f.Name), []byte(f.Text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			name := filepath.Join(dir, m.Name+table.Suffix)
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			tab, err := table.Parse(name, text)
			if err != nil {
				t.Fatal(err)
			}
			if (tab.Cedar != "") != (language == library.Cedar) || (tab.Rego != "") != (language == library.Rego) ||
				tab.Policy != m.Policy() || len(tab.Cases) != len(tableOf(t, m).Cases) {
				t.Errorf("%s: the table is for %q and %q, and has %d rows", language, tab.Cedar, tab.Rego, len(tab.Cases))
			}
			if _, err := os.Stat(tab.Cedar + tab.Rego); err != nil { // one of the two is empty
				t.Error(err)
			}
			configurationAsks(t, m, language, filepath.Join(dir, "kest.yaml"))
		}
		if m.Files("python") != nil || m.Configuration("python") != "" {
			t.Error("there is a third language")
		}
	})
}

// configurationAsks wants a configuration that the filter takes and that asks
// this policy wherever it asks one.
func configurationAsks(t *testing.T, m *library.Model, language, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	document, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	c, err := plugin.ParseConfig(document)
	if err != nil {
		t.Fatalf("%s: %v", language, err)
	}
	switch {
	case language == library.Rego && (len(c.Rego) != 1 || c.Rego[0] != m.Policy() || c.Cedar != nil):
		t.Errorf("Rego is asked for %q, Cedar for %q", c.Rego, c.Cedar)
	case language == library.Cedar && (c.Cedar[m.Policy()] != m.Cedar || c.Rego != nil):
		t.Errorf("Cedar is asked\n%s", c.Cedar[m.Policy()])
	}
	if c.TrustAllClaims || len(c.Authority) < 2 || len(c.Routes) < 2 {
		t.Errorf("%s: the sample grants %d claims and has %d routes", language, len(c.Authority), len(c.Routes))
	}
	for _, r := range c.Routes {
		if len(r.Hop.Policies) != 1 || r.Hop.Policies[0] != m.Policy() || r.Attributes == nil {
			t.Errorf("%s: the route %s asks %q", language, r.Hop.Operation, r.Hop.Policies)
		}
	}
}
