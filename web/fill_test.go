package web

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestADocumentIsFilledWithTextsAndConditions(t *testing.T) {
	t.Parallel()
	const source = `<p{{if on}} title="{{name}}"{{end}}>{{if on}}{{name}}{{if off}}never{{end}}, {{end}}{{name}}{{if off}}, never{{end}}.</p>`
	for name, want := range map[string]string{
		"ada":                     `<p title="ada">ada, ada.</p>`,
		"":                        `<p title="">, .</p>`,
		`" onclick="x" a='`:       `<p title="&#34; onclick=&#34;x&#34; a=&#39;">&#34; onclick=&#34;x&#34; a=&#39;, &#34; onclick=&#34;x&#34; a=&#39;.</p>`,
		"</script><b>":            `<p title="&lt;/script&gt;&lt;b&gt;">&lt;/script&gt;&lt;b&gt;, &lt;/script&gt;&lt;b&gt;.</p>`,
		"a & b &amp; c":           `<p title="a &amp; b &amp;amp; c">a &amp; b &amp;amp; c, a &amp; b &amp;amp; c.</p>`,
		"{{name}}{{if on}}":       `<p title="{{name}}{{if on}}">{{name}}{{if on}}, {{name}}{{if on}}.</p>`,
		"\u2028\n\t\u00a0\u202eé": "<p title=\"\u2028\n\t\u00a0\u202eé\">\u2028\n\t\u00a0\u202eé, \u2028\n\t\u00a0\u202eé.</p>",
	} {
		v := values{texts: map[string]string{"name": name}, conditions: map[string]bool{"on": true, "off": false}}
		d, err := parse(source, v)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(d.fill(v)); got != want {
			t.Errorf("%q gives\n%s, want\n%s", name, got, want)
		}
	}
}

func TestADocumentThatDoesNotMeetItsValuesIsRefused(t *testing.T) {
	t.Parallel()
	v := values{texts: map[string]string{"name": ""}, conditions: map[string]bool{"on": false}}
	const good = "{{name}}{{if on}}{{end}}"
	if _, err := parse(good, v); err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]string{
		"{{if on}}{{end}}":                  "no place for the text name",
		"{{name}}":                          "nothing hangs on the condition on",
		"{{on}}{{if name}}":                 "{{on}}",
		good + "{{subject}}":                "{{subject}}",
		good + "{{if subject}}{{end}}":      "{{if subject}}",
		good + "{{ name }}":                 "{{ name }}",
		good + "{{if name}}{{end}}":         "{{if name}}",
		good + "{{end}}":                    "{{end}}",
		good + "{{else}}":                   "{{else}}",
		"{{name}}{{if on}}{{name}}":         "a condition has no end",
		"{{if on}}{{if on}}{{name}}{{end}}": "a condition has no end",
		good + "{{name":                     "a place has no end",
	} {
		if _, err := parse(source, v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want one that says %q", source, err, want)
		}
	}
}

// Whatever somebody is called, the page has the elements and attributes that it
// has for everybody.
func TestNoValueChangesThePagesMarkup(t *testing.T) {
	t.Parallel()
	shape := func(page *Page, subject string) (all []string) {
		v := page.greeting(Visitor{SignedIn: true, Subject: subject})
		for name := range v.texts {
			if name != "base" { // which moves no element, and is of a URL's characters
				v.texts[name] = subject
			}
		}
		for _, n := range elements(t, string(page.index.fill(v))) {
			line := n.Data
			for _, a := range n.Attr {
				line += " " + a.Key
			}
			all = append(all, line)
		}
		return all
	}
	for name, variant := range variants {
		page := newPage(t, variant.cfg)
		want := shape(page, "ada")
		for _, hostile := range []string{`"`, `'`, `" autofocus onfocus="x`, "' onfocus='x", "</script><script>x</script>", "</title></p><p>", "<!--", "]]>", "&", "&quot;", "&#34; a=", "`", "=", " x=y", "\x00", "\xff\"", "{{end}}"} {
			if got := shape(page, hostile); !slices.Equal(got, want) {
				t.Errorf("%s: %q makes another page of it", name, hostile)
			}
		}
	}
}

func TestThePagePreloadsEveryModuleThatItImports(t *testing.T) {
	t.Parallel()
	imported := regexp.MustCompile(`(?m)^import .* from '([^']+)'$`)
	want := []string{"assets/main.js"}
	for i := 0; i < len(want); i++ {
		content, err := files.ReadFile(want[i])
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range imported.FindAllStringSubmatch(string(content), -1) {
			if name := path.Join(path.Dir(want[i]), found[1]); !slices.Contains(want, name) {
				want = append(want, name)
			}
		}
	}
	page := newPage(t, Config{})
	var got []string
	for _, n := range elements(t, string(page.index.fill(page.greeting(Visitor{})))) {
		if rel, _ := attribute(n, "rel"); rel == "modulepreload" {
			href, _ := attribute(n, "href")
			got = append(got, href)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("preloaded are\n%v\nimported are\n%v", got, want)
	}
}
