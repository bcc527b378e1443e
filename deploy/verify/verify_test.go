// Package verify_test holds compose.yaml and the Kubernetes manifests against
// the types and rules of those who read them. It is a module of its own, so that
// none of that stands in farebox' own.
package verify_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	podsecurity "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// objects are all of a folder's manifests, decoded as the API server decodes
// them when it is asked to be strict: an unknown or repeated field is an error.
func objects(t *testing.T, folder string) (all []runtime.Object) {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, autoscalingv2.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	paths, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if filepath.Base(path) == "kustomization.yaml" {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		documents := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(data)))
		for {
			document := make([]byte, len(data))
			n, err := documents.Read(document)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			object, _, err := decoder.Decode(document[:n], nil, nil)
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			all = append(all, object)
		}
	}
	return all
}

func TestTheManifestsAreWhatKubernetesKnows(t *testing.T) {
	t.Parallel()
	kinds := map[schema.GroupVersionKind]int{}
	for _, object := range objects(t, "../kubernetes") {
		kinds[object.GetObjectKind().GroupVersionKind()]++
	}
	for _, want := range []schema.GroupVersionKind{
		corev1.SchemeGroupVersion.WithKind("Namespace"), corev1.SchemeGroupVersion.WithKind("ConfigMap"),
		corev1.SchemeGroupVersion.WithKind("Secret"), corev1.SchemeGroupVersion.WithKind("ServiceAccount"),
		corev1.SchemeGroupVersion.WithKind("Service"), appsv1.SchemeGroupVersion.WithKind("Deployment"),
		policyv1.SchemeGroupVersion.WithKind("PodDisruptionBudget"),
		autoscalingv2.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler"),
		networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"),
	} {
		if kinds[want] != 1 {
			t.Errorf("there are %d of %s", kinds[want], want)
		}
	}
}

// The namespace asks for the restricted profile; this is what would judge there.
func TestThePodsPassTheRestrictedProfile(t *testing.T) {
	t.Parallel()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := podsecurity.LevelVersion{Level: podsecurity.LevelRestricted, Version: podsecurity.LatestVersion()}
	judged := 0
	for _, object := range objects(t, "../kubernetes") {
		deployment, is := object.(*appsv1.Deployment)
		if !is {
			continue
		}
		judged++
		template := deployment.Spec.Template
		for _, result := range evaluator.EvaluatePod(restricted, &template.ObjectMeta, &template.Spec) {
			if !result.Allowed {
				t.Errorf("%s: %s", result.ForbiddenReason, result.ForbiddenDetail)
			}
		}
	}
	if judged != 1 {
		t.Errorf("%d deployments were judged", judged)
	}
}

func TestTheComposeFileIsWhatComposeKnows(t *testing.T) {
	t.Parallel()
	options, err := cli.NewProjectOptions([]string{"../compose.yaml"}, cli.WithEnv([]string{
		"FAREBOX_SESSION_ISSUER=https://login.example.com", "FAREBOX_SESSION_AUDIENCE=farebox",
	}))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(project.Services) != 2 {
		t.Errorf("it has the services %v", project.ServiceNames())
	}
	without, err := cli.NewProjectOptions([]string{"../compose.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := without.LoadProject(t.Context()); err == nil {
		t.Error("it starts without an issuer")
	}
}

// kustomized is what `kubectl apply -k` would send, as objects by kind.
func kustomized(t *testing.T, files filesys.FileSystem, folder string) map[string]*resource.Resource {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, folder)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*resource.Resource{}
	for _, r := range built.Resources() {
		all[r.GetKind()] = r
	}
	return all
}

func TestKustomizeBuildsTheFolder(t *testing.T) {
	t.Parallel()
	all := kustomized(t, filesys.MakeFsOnDisk(), "../kubernetes")
	if len(all) != 8 || all["Secret"] != nil {
		t.Errorf("it builds %v", slices.Collect(maps.Keys(all)))
	}
	for kind, r := range all {
		if r.GetNamespace() != "farebox" && kind != "Namespace" {
			t.Errorf("%s is in the namespace %q", kind, r.GetNamespace())
		}
	}
	if image := all["Deployment"].MustYaml(); !strings.Contains(image, "image: registry.example.com/farebox:1.0.0") {
		t.Errorf("the image is not replaced:\n%s", image)
	}
}

// An overlay takes the component in, as a user would.
func TestKustomizeBuildsTheComponent(t *testing.T) {
	t.Parallel()
	files := filesys.MakeFsInMemory()
	if err := filepath.WalkDir("../kubernetes", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel("..", path)
		return files.WriteFile("/"+name, data)
	}); err != nil {
		t.Fatal(err)
	}
	overlay := "resources: [../kubernetes]\ncomponents: [../kubernetes/monitoring]\n"
	if err := files.WriteFile("/mine/kustomization.yaml", []byte(overlay)); err != nil {
		t.Fatal(err)
	}
	if all := kustomized(t, files, "/mine"); len(all) != 9 || all["PodMonitor"] == nil {
		t.Errorf("it builds %v", slices.Collect(maps.Keys(all)))
	}
}
