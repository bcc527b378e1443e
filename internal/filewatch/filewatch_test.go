package filewatch_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"farebox/internal/filewatch"
)

func TestAChangeIsTakenOnceWhenTwoLooksHaveSeenIt(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	path := filepath.Join(root, "file")
	write := func(text string) func() {
		return func() {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	link := func(text string) func() {
		return func() {
			aside := filepath.Join(root, "to "+text)
			if err := os.WriteFile(aside, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(aside, path+"_tmp"); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+"_tmp", path); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("first")()
	file, first := filewatch.Open(path, 10)
	if string(first.Data) != "first" {
		t.Fatalf("at first: %q", first.Data)
	}
	nothing := func() {}
	var taken []string
	for _, step := range []struct {
		change func()
		want   string // "" where the look takes nothing
	}{
		{nothing, ""},
		{write("half"), ""}, {write("whole"), ""}, {nothing, "whole"}, {nothing, ""},
		{link("swapped"), ""}, {nothing, "swapped"},
		{func() { _ = os.Remove(path) }, ""}, {nothing, "the file cannot be read (it does not exist)"}, {nothing, ""},
		{write("swapped"), ""}, {nothing, "swapped"},
		{write(""), ""}, {write("swapped"), ""}, {nothing, ""}, // as it was
		{write(strings.Repeat("x", 100)), ""}, {nothing, strings.Repeat("x", 11)},
		{func() {
			_ = os.Remove(path)
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
		}, ""},
		{nothing, "it is no file"},
	} {
		step.change()
		taken = nil
		file.Look(func(c filewatch.Content) { taken = append(taken, string(c.Data)+c.Problem) })
		if want := slices.DeleteFunc([]string{step.want}, func(s string) bool { return s == "" }); !slices.Equal(taken, want) {
			t.Errorf("taken %q, want %q", taken, want)
		}
	}
	if strings.Contains(strings.Join(taken, ""), root) {
		t.Error("the path is told")
	}
}
