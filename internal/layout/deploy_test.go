package layout_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"farebox/internal/config"

	"go.yaml.in/yaml/v4"
)

// deployment is one of the ways of deploying, as far as they have in common.
type deployment struct {
	settings map[string]string
	// secrets are the paths at which the files of secrets stand there.
	secrets []string
	policy  string // the text of the policy file
	// grace is how long it may take to end.
	grace time.Duration
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

type composeFile struct {
	Services map[string]struct {
		Image       string
		Command     []string
		Environment map[string]string
		Secrets     []string
		Ports       []string
		User        string
		ReadOnly    bool     `yaml:"read_only"`
		CapDrop     []string `yaml:"cap_drop"`
		SecurityOpt []string `yaml:"security_opt"`
		Grace       string   `yaml:"stop_grace_period"`
		Healthcheck struct{ Test []string }
	}
	Secrets map[string]struct{ File string }
}

func compose(t *testing.T) (file composeFile) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, "deploy/compose.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	return file
}

// ofEnvironment is what stands in compose.yaml for what is set outside.
var ofEnvironment = regexp.MustCompile(`\$\{(FAREBOX_[A-Z_]+):[-?][^}]*\}`)

func composed(t *testing.T) deployment {
	t.Helper()
	service := compose(t).Services["farebox"]
	d := deployment{settings: map[string]string{}, policy: read(t, "deploy/policy/policy.yaml")}
	for name, value := range service.Environment {
		if found := ofEnvironment.FindStringSubmatch(value); found != nil {
			if found[1] != name {
				t.Errorf("%s is set by %s", name, found[1])
			}
			value = map[string]string{
				"FAREBOX_SESSION_ISSUER": "https://login.example.com", "FAREBOX_SESSION_AUDIENCE": "farebox",
			}[name]
		}
		d.settings[name] = value
	}
	for _, name := range service.Secrets {
		d.secrets = append(d.secrets, "/run/secrets/"+name)
	}
	var err error
	if d.grace, err = time.ParseDuration(service.Grace); err != nil {
		t.Error(err)
	}
	return d
}

// manifest is what the tests look at of any Kubernetes object.
type manifest struct {
	Kind       string
	Data       map[string]string
	StringData map[string]string `yaml:"stringData"`
	Spec       struct {
		Template struct {
			Spec struct {
				Grace              int   `yaml:"terminationGracePeriodSeconds"`
				EnableServiceLinks *bool `yaml:"enableServiceLinks"`
				Containers         []struct {
					Image string
					Env   []struct{ Name, Value string }
					Ports []struct {
						ContainerPort int `yaml:"containerPort"`
					}
					LivenessProbe  probe `yaml:"livenessProbe"`
					ReadinessProbe probe `yaml:"readinessProbe"`
					StartupProbe   probe `yaml:"startupProbe"`
					VolumeMounts   []struct {
						Name      string
						MountPath string `yaml:"mountPath"`
					} `yaml:"volumeMounts"`
				}
			}
		}
		Ingress []struct{ Ports []struct{ Port int } }
	}
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

// manifests are deploy/kubernetes' objects by kind.
func manifests(t *testing.T) map[string]manifest {
	t.Helper()
	all := map[string]manifest{}
	for _, name := range []string{"policy", "secret.example", "deployment", "service", "availability", "network"} {
		for decoder := yaml.NewDecoder(strings.NewReader(read(t, "deploy/kubernetes/"+name+".yaml"))); ; {
			var m manifest
			if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all[m.Kind] = m
		}
	}
	return all
}

func orchestrated(t *testing.T) deployment {
	t.Helper()
	all := manifests(t)
	pod := all["Deployment"].Spec.Template.Spec
	d := deployment{settings: map[string]string{}, policy: all["ConfigMap"].Data["policy.yaml"], grace: time.Duration(pod.Grace) * time.Second}
	for _, env := range pod.Containers[0].Env {
		d.settings[env.Name] = env.Value
	}
	for key := range all["Secret"].StringData {
		d.secrets = append(d.secrets, "/run/secrets/farebox/"+key)
	}
	return d
}

func ofSystemd(t *testing.T) deployment {
	t.Helper()
	d := deployment{settings: map[string]string{}, policy: read(t, "deploy/policy/policy.yaml")}
	set := func(pair string) {
		name, value, _ := strings.Cut(pair, "=")
		d.settings[name] = value
	}
	for line := range strings.Lines(read(t, "deploy/systemd/farebox.service")) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "Environment":
			set(value)
		case "LoadCredential":
			name, _, _ := strings.Cut(value, ":")
			d.secrets = append(d.secrets, "%d/"+name)
		case "TimeoutStopSec":
			var err error
			if d.grace, err = time.ParseDuration(value); err != nil {
				t.Error(err)
			}
		}
	}
	for line := range strings.Lines(read(t, "deploy/systemd/farebox.env")) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			set(line)
		}
	}
	return d
}

// What serve would say to the settings of each deployment, with its files in
// place: nothing.
func TestTheSettingsOfEveryDeploymentAreGood(t *testing.T) {
	t.Parallel()
	contents := map[string]string{
		"ELEVENLABS_API_KEY": "key", "FAREBOX_SECRET": strings.Repeat("s", 32), "REDIS_URL": "redis://farebox:password@redis:6379/0",
	}
	for name, of := range map[string]func(*testing.T) deployment{"compose": composed, "kubernetes": orchestrated, "systemd": ofSystemd} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := of(t)
			folder := t.TempDir()
			place := func(setting, text string) {
				file := filepath.Join(folder, setting)
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				d.settings[setting] = file
			}
			for secret, text := range contents {
				setting := secret + "_FILE"
				if !slices.Contains(d.secrets, d.settings[setting]) {
					t.Errorf("%s is %q, and the secrets are %v", setting, d.settings[setting], d.secrets)
				}
				place(setting, text)
			}
			if d.settings["FAREBOX_POLICY_FILE"] != "/etc/farebox/policy.yaml" || d.policy == "" {
				t.Errorf("the policy file is %q, with %q", d.settings["FAREBOX_POLICY_FILE"], d.policy)
			}
			place("FAREBOX_POLICY_FILE", d.policy)
			var environ []string
			for setting, value := range d.settings {
				environ = append(environ, setting+"="+value)
			}
			cfg, err := config.Load(environ, config.Serve)
			if err != nil {
				t.Fatal(err)
			}
			if least := cfg.DrainDelay + 2*cfg.ShutdownTimeout; d.grace <= least {
				t.Errorf("it is killed after %s, and may take %s", d.grace, least)
			}
			if len(cfg.Web.TrustedProxies) == 0 {
				t.Error("all callers have the proxy's address")
			}
		})
	}
}

func TestEverySettingThatDeployNamesExists(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`\b(?:FAREBOX|ELEVENLABS|REDIS)_[A-Z0-9_]+`)
	known := append(config.Names(), "FAREBOX_IMAGE" /* compose.yaml's own */, "FAREBOX_SERVICE_HOST" /* Kubernetes' */)
	files := 0
	err := filepath.WalkDir(filepath.Join(root, "deploy"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) == ".sum" {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		for _, found := range name.FindAll(data, -1) {
			if !slices.Contains(known, string(found)) {
				t.Errorf("%s names %s", path, found)
			}
		}
		return err
	})
	if err != nil || files < 15 {
		t.Errorf("%d files: %v", files, err)
	}
}

func TestTheComposeFileConfinesWhatItStarts(t *testing.T) {
	t.Parallel()
	file := compose(t)
	for name, service := range file.Services {
		if !service.ReadOnly || !slices.Equal(service.CapDrop, []string{"ALL"}) || !slices.Contains(service.SecurityOpt, "no-new-privileges:true") ||
			service.User == "" || strings.HasPrefix(service.User, "0") || len(service.Healthcheck.Test) == 0 {
			t.Errorf("%s: %+v", name, service)
		}
		for _, secret := range service.Secrets {
			if file.Secrets[secret].File != "secrets/"+secret {
				t.Errorf("%s: the secret %s is %q", name, secret, file.Secrets[secret].File)
			}
		}
	}
	if ports := file.Services["farebox"].Ports; !slices.Equal(ports, []string{"127.0.0.1:8080:8080"}) || len(file.Services["redis"].Ports) > 0 {
		t.Errorf("it publishes %v and Redis' %v", ports, file.Services["redis"].Ports)
	}
	command := file.Services["redis"].Command
	if i := slices.Index(command, "--maxmemory-policy"); i < 0 || command[i+1] != "noeviction" {
		t.Errorf("Redis is started by %q", command)
	}
	if test := file.Services["farebox"].Healthcheck.Test; !strings.Contains(read(t, "Dockerfile"), `["`+test[1]+`", "`+test[2]+`"]`) {
		t.Errorf("the image has another health check than %q", test)
	}
}

// The rights of Redis' user are written down in two places, for two readers.
func TestTheComposeFilesRedisUserHasTheRightsOfTheDocumentation(t *testing.T) {
	t.Parallel()
	rights := func(name, pattern string) string {
		found := regexp.MustCompile(pattern).FindStringSubmatch(read(t, name))
		if found == nil {
			t.Fatalf("%s has no such user", name)
		}
		return found[1]
	}
	documented := rights("docs/redis.md", `(?m)^ACL SETUSER farebox on >password (.*)$`)
	if given := rights("deploy/secrets.sh", `(?m)^user farebox on #\$hash (.*)$`); given != documented {
		t.Errorf("given are\n%s\ndocumented are\n%s", given, documented)
	}
	if !strings.Contains(read(t, "deploy/hosts.md"), documented) {
		t.Error("deploy/hosts.md has other rights than docs/redis.md")
	}
}

func TestTheManifestsMeetTheProgram(t *testing.T) {
	t.Parallel()
	all := manifests(t)
	pod := all["Deployment"].Spec.Template.Spec
	if pod.EnableServiceLinks == nil || *pod.EnableServiceLinks {
		t.Error("Kubernetes adds variables of a Service")
	}
	container := pod.Containers[0]
	for what, got := range map[string]probe{
		"/livez": container.LivenessProbe, "/readyz": container.ReadinessProbe, "/livez ": container.StartupProbe,
	} {
		if got.HTTPGet.Path != strings.TrimSpace(what) || got.HTTPGet.Port != "operators" {
			t.Errorf("%s is asked as %+v", what, got)
		}
	}
	exposed := regexp.MustCompile(`(?m)^EXPOSE (.*)$`).FindStringSubmatch(read(t, "Dockerfile"))[1]
	if exposed != "8080 9090" || container.Ports[0].ContainerPort != 8080 || container.Ports[1].ContainerPort != 9090 {
		t.Errorf("the image has the ports %s, the container %+v", exposed, container.Ports)
	}
	var opened []int
	for _, rule := range all["NetworkPolicy"].Spec.Ingress {
		for _, port := range rule.Ports {
			opened = append(opened, port.Port)
		}
	}
	if !slices.Equal(opened, []int{8080, 9090}) {
		t.Errorf("the network lets in %v", opened)
	}
	mounts := map[string]string{}
	for _, mount := range container.VolumeMounts {
		mounts[mount.Name] = mount.MountPath
	}
	if want := map[string]string{"secrets": "/run/secrets/farebox", "policy": path.Dir("/etc/farebox/policy.yaml")}; !maps.Equal(mounts, want) {
		t.Errorf("mounted are %v", mounts)
	}
}

// One name for the image, which kustomize replaces.
func TestTheDeploymentsNameOneImage(t *testing.T) {
	t.Parallel()
	made := []byte(read(t, "Makefile"))
	if !bytes.Contains(made, []byte("-t farebox .")) {
		t.Error("make image makes another")
	}
	if image := manifests(t)["Deployment"].Spec.Template.Spec.Containers[0].Image; image != "farebox" {
		t.Errorf("the pods run %s", image)
	}
	if image := compose(t).Services["farebox"].Image; image != "${FAREBOX_IMAGE:-farebox}" {
		t.Errorf("compose.yaml runs %s", image)
	}
	if !strings.Contains(read(t, "deploy/kubernetes/kustomization.yaml"), "- name: farebox\n") {
		t.Error("kustomize replaces another")
	}
}
