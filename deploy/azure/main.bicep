// Both services on Azure Container Apps, with the Redis that they need. State lies on one NFS share: the journals take
// locks and the secrets are written by hard link, which SMB shares do not offer.
//
// Push the two images to `registry` first. After the deployment, start the job that makes the secrets, once:
//   az containerapp job start --name mcp-oauth2-setup --resource-group <group>

@description('Registry that holds mcp-oauth2-auth-service and mcp-oauth2-mcp-resource-service.')
param registry string

@description('Tag of both images.')
param tag string = 'latest'

param redisImage string = 'redis:8'
param rootImage string = 'python:3.13-slim-trixie'
param location string = resourceGroup().location

var domain = environment.properties.defaultDomain
var issuer = 'https://auth-service.${domain}'
var resourceUrl = 'https://mcp-resource-service.${domain}/mcp'
var secretsPath = '/run/secrets'
var auditSettings = [
  { name: 'SECURITY_AUDIT_DIR', value: '/var/lib/audit' }
  { name: 'SECURITY_AUDIT_CHAIN_KEY_FILE', value: '${secretsPath}/audit_chain_key' }
  { name: 'SECURITY_AUDIT_CHECKPOINT_KEY_FILE', value: '${secretsPath}/audit_checkpoint_key.pem' }
]
var stateVolume = [{ name: 'state', storageType: 'NfsAzureFile', storageName: 'state' }]

resource network 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: 'mcp-oauth2'
  location: location
  properties: {
    addressSpace: { addressPrefixes: ['10.20.0.0/16'] }
    subnets: [
      {
        name: 'apps'
        properties: {
          addressPrefix: '10.20.0.0/23'
          delegations: [{ name: 'apps', properties: { serviceName: 'Microsoft.App/environments' } }]
          serviceEndpoints: [{ service: 'Microsoft.Storage' }]
        }
      }
    ]
  }
}

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: 'mcpoauth2${uniqueString(resourceGroup().id)}'
  location: location
  sku: { name: 'Premium_ZRS' }
  kind: 'FileStorage'
  properties: {
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: false // NFS is guarded by the network, not by TLS
    networkAcls: {
      defaultAction: 'Deny'
      virtualNetworkRules: [{ id: network.properties.subnets[0].id }]
    }
  }
}

resource files 'Microsoft.Storage/storageAccounts/fileServices@2023-05-01' = {
  parent: storage
  name: 'default'
}

resource share 'Microsoft.Storage/storageAccounts/fileServices/shares@2023-05-01' = {
  parent: files
  name: 'state'
  properties: { enabledProtocols: 'NFS', rootSquash: 'NoRootSquash', shareQuota: 100 }
}

resource environment 'Microsoft.App/managedEnvironments@2025-01-01' = {
  name: 'mcp-oauth2'
  location: location
  properties: {
    vnetConfiguration: { infrastructureSubnetId: network.properties.subnets[0].id }
    workloadProfiles: [{ name: 'Consumption', workloadProfileType: 'Consumption' }]
  }
}

resource state 'Microsoft.App/managedEnvironments/storages@2025-01-01' = {
  parent: environment
  name: 'state'
  properties: {
    nfsAzureFile: {
      server: '${storage.name}.file.${az.environment().suffixes.storage}'
      shareName: '/${storage.name}/${share.name}'
      accessMode: 'ReadWrite'
    }
  }
}

resource setup 'Microsoft.App/jobs@2025-01-01' = {
  name: 'mcp-oauth2-setup'
  location: location
  properties: {
    environmentId: environment.id
    configuration: { triggerType: 'Manual', replicaTimeout: 300, replicaRetryLimit: 1 }
    template: {
      initContainers: [
        {
          name: 'owners'
          image: rootImage
          command: ['sh', '-ec']
          args: [
            'cd /state; mkdir -p secrets/auth secrets/mcp secrets/redis audit-auth audit-mcp redis; chown -R 65532:65532 secrets audit-auth audit-mcp; chown 999:999 redis'
          ]
          resources: { cpu: json('0.25'), memory: '0.5Gi' }
          volumeMounts: [{ volumeName: 'state', mountPath: '/state' }]
        }
      ]
      containers: [
        {
          name: 'setup'
          image: '${registry}/mcp-oauth2-auth-service:${tag}'
          command: ['security-common']
          args: ['setup', '/state/secrets']
          resources: { cpu: json('0.25'), memory: '0.5Gi' }
          volumeMounts: [{ volumeName: 'state', mountPath: '/state' }]
        }
      ]
      volumes: stateVolume
    }
  }
  dependsOn: [state]
}

resource redis 'Microsoft.App/containerApps@2025-01-01' = {
  name: 'redis'
  location: location
  properties: {
    environmentId: environment.id
    configuration: { ingress: { external: false, transport: 'tcp', targetPort: 6379, exposedPort: 6379 } }
    template: {
      containers: [
        {
          name: 'redis'
          image: redisImage
          command: ['redis-server']
          args: [
            '--aclfile', '${secretsPath}/users.acl', '--dir', '/data', '--appendonly', 'yes', '--appendfsync', 'always'
            // Below the container's memory, so that Redis refuses writes before it is ended for want of memory.
            '--save', '', '--maxmemory', '640mb', '--maxmemory-policy', 'noeviction'
          ]
          resources: { cpu: json('0.5'), memory: '1Gi' }
          volumeMounts: [
            { volumeName: 'state', mountPath: '/data', subPath: 'redis' }
            { volumeName: 'state', mountPath: secretsPath, subPath: 'secrets/redis' }
          ]
        }
      ]
      scale: { minReplicas: 1, maxReplicas: 1 }
      volumes: stateVolume
    }
  }
  dependsOn: [state]
}

resource auth 'Microsoft.App/containerApps@2025-01-01' = {
  name: 'auth-service'
  location: location
  properties: {
    environmentId: environment.id
    configuration: { ingress: { external: true, targetPort: 8081 } }
    template: {
      containers: [
        {
          name: 'auth-service'
          image: '${registry}/mcp-oauth2-auth-service:${tag}'
          env: concat(auditSettings, [
            { name: 'AUTH_ISSUER', value: issuer }
            { name: 'AUTH_RESOURCE', value: resourceUrl }
            { name: 'AUTH_HOST', value: '0.0.0.0' }
            { name: 'AUTH_TRUSTED_PROXIES', value: '10.20.0.0/23,100.100.0.0/16' }
            { name: 'AUTH_REDIS_URL', value: 'redis://auth@redis:6379/0' }
            { name: 'AUTH_REDIS_PASSWORD_FILE', value: '${secretsPath}/redis_password' }
            { name: 'AUTH_SIGNING_KEY_KEK_FILE', value: '${secretsPath}/signing_key_kek' }
            { name: 'AUTH_SECRET_PEPPER_FILE', value: '${secretsPath}/secret_pepper' }
            { name: 'AUTH_COOKIE_KEY_FILE', value: '${secretsPath}/cookie_key' }
            { name: 'AUTH_AUDIT_PAGE_PUBLIC_KEY_FILE', value: '${secretsPath}/audit_page_public_key.json' }
          ])
          resources: { cpu: json('0.5'), memory: '1Gi' }
          probes: [{ type: 'Readiness', httpGet: { path: '/readyz', port: 8081 } }]
          volumeMounts: [
            { volumeName: 'state', mountPath: secretsPath, subPath: 'secrets/auth' }
            { volumeName: 'state', mountPath: '/var/lib/audit', subPath: 'audit-auth' }
          ]
        }
      ]
      scale: { minReplicas: 1, maxReplicas: 3 }
      volumes: stateVolume
    }
  }
  dependsOn: [state]
}

resource mcp 'Microsoft.App/containerApps@2025-01-01' = {
  name: 'mcp-resource-service'
  location: location
  properties: {
    environmentId: environment.id
    configuration: { ingress: { external: true, targetPort: 8082 } }
    template: {
      containers: [
        {
          name: 'mcp-resource-service'
          image: '${registry}/mcp-oauth2-mcp-resource-service:${tag}'
          env: concat(auditSettings, [
            { name: 'MCP_RESOURCE', value: resourceUrl }
            { name: 'MCP_HOST', value: '0.0.0.0' }
            { name: 'MCP_ISSUER', value: issuer }
            { name: 'MCP_TRUSTED_PROXIES', value: '10.20.0.0/23,100.100.0.0/16' }
            { name: 'MCP_REDIS_URL', value: 'redis://mcp@redis:6379/0' }
            { name: 'MCP_REDIS_PASSWORD_FILE', value: '${secretsPath}/redis_password' }
            { name: 'MCP_COOKIE_KEY_FILE', value: '${secretsPath}/cookie_key' }
            { name: 'MCP_AUDIT_PAGE_PRIVATE_KEY_FILE', value: '${secretsPath}/audit_page_private_key.json' }
            { name: 'SECURITY_ENCRYPTION_KEY_FILE', value: '${secretsPath}/data_keyring' }
            { name: 'SECURITY_PSEUDONYM_KEY_FILE', value: '${secretsPath}/pseudonym_key' }
          ])
          resources: { cpu: json('0.5'), memory: '1Gi' }
          probes: [{ type: 'Readiness', httpGet: { path: '/readyz', port: 8082 } }]
          volumeMounts: [
            { volumeName: 'state', mountPath: secretsPath, subPath: 'secrets/mcp' }
            { volumeName: 'state', mountPath: '/var/lib/audit', subPath: 'audit-mcp' }
          ]
        }
      ]
      scale: { minReplicas: 1, maxReplicas: 3 }
      volumes: stateVolume
    }
  }
  dependsOn: [state]
}

output issuer string = issuer
output mcpUrl string = resourceUrl
