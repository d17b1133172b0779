package library

import "strings"

// File is a text and its name without folders.
type File struct{ Name, Text string }

// Files returns what somebody starts with who takes the model in one language,
// Cedar or Rego: the policy, its table, a configuration that uses it (kest.yaml,
// DESIGN 5), and the page, NAME.md. It returns nil for another language.
func (m *Model) Files(language string) []File {
	policy, other := File{m.Name + ".cedar", m.Cedar}, Rego
	switch language {
	case Cedar:
	case Rego:
		policy, other = File{m.Name + ".rego", m.Rego}, Cedar
	default:
		return nil
	}
	return []File{
		policy,
		{m.Name + ".test.yaml", withoutMember(m.Table, other)},
		{"kest.yaml", m.Configuration(language)},
		{m.Name + ".md", m.Page},
	}
}

// withoutMember leaves out the table's line that names the other language's policy.
func withoutMember(table, name string) string {
	var kept strings.Builder
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, name+":") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// Configuration returns a configuration that uses the model, in YAML: the text
// of the policy stands in it in Cedar, its name in Rego. "" is another language.
func (m *Model) Configuration(language string) string {
	switch language {
	case Rego:
		return m.configuration
	case Cedar:
		text := "  cedar:\n    " + m.Policy() + ": |\n"
		for line := range strings.Lines(m.Cedar) {
			if line != "\n" {
				line = "      " + line
			}
			text += line
		}
		return strings.Replace(m.configuration, m.regoMember(), text, 1)
	}
	return ""
}

// regoMember is how every sample asks for its policy.
func (m *Model) regoMember() string { return "  rego: {names: [" + m.Policy() + "]}\n" }
