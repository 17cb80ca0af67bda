{{- define "weft.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "weft.fullname" -}}
{{- $name := include "weft.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "weft.selector" -}}
app.kubernetes.io/name: {{ include "weft.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "weft.labels" -}}
app.kubernetes.io/name: {{ include "weft.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "weft.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "weft.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "weft.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "weft.webhookSecret" -}}
{{- $certificate := .Values.admission.webhook.certificate -}}
{{- if eq $certificate.source "Secret" -}}
{{- required "admission.webhook.certificate.secretName: give the name of your Secret (type kubernetes.io/tls) with source Secret" $certificate.secretName -}}
{{- else -}}
{{- $certificate.secretName | default (printf "%s-webhook" (include "weft.fullname" .)) -}}
{{- end -}}
{{- end -}}

{{- /* PodSecurity "restricted", for the operator and for the clean-up alike. */ -}}
{{- define "weft.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "weft.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- /* One rule of a role, without the words for people. */ -}}
{{- define "weft.rule" -}}
{{- omit . "reason" "ownLeases" "ownPolicies" | toYaml -}}
{{- end -}}

{{- /* Binds a ClusterRole to a service account: everywhere, or in each of some namespaces.
       Takes root, name (of the role and its bindings), account, namespaces (empty: everywhere), annotations. */ -}}
{{- define "weft.binding" -}}
{{- $given := . -}}
{{- range $namespace := .namespaces | default (list "") }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ ternary "RoleBinding" "ClusterRoleBinding" (ne $namespace "") }}
metadata:
  name: {{ $given.name }}
  {{- with $namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "weft.labels" $given.root | nindent 4 }}
  {{- with $given.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ $given.name }}
subjects:
- kind: ServiceAccount
  name: {{ $given.account }}
  namespace: {{ $given.root.Release.Namespace }}
{{- end }}
{{- end -}}
