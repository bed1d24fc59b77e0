"""What the API can be asked for: one line for each procedure, one file for each family."""

from bridge.embedded.http import applications, deployments, inputs, procedure, projects
from bridge.embedded.http import applications as sources
from bridge.embedded.http import projects as providers
from bridge.embedded.http.procedure import EMPTY, Procedure, mutation, query

PROCEDURES: dict[str, Procedure] = {
    "application.create": mutation(inputs.ApplicationCreate, applications.create),
    "application.one": query(inputs.ApplicationId, applications.one),
    "application.update": mutation(inputs.ApplicationUpdate, applications.update),
    "application.move": mutation(inputs.ApplicationMove, applications.move),
    "application.delete": mutation(inputs.ApplicationId, applications.delete),
    "application.search": query(inputs.ApplicationSearch, applications.search),
    "application.refreshToken": mutation(inputs.ApplicationId, applications.refresh_token),
    "application.saveGithubProvider": mutation(inputs.GithubProvider, sources.save_github),
    "application.saveGitlabProvider": mutation(inputs.GitlabProvider, sources.save_gitlab),
    "application.saveGitProvider": mutation(inputs.GitProvider, sources.save_git),
    "application.saveDockerProvider": mutation(inputs.DockerProvider, sources.save_docker),
    "application.disconnectGitProvider": mutation(inputs.ApplicationId, sources.disconnect),
    "application.saveBuildType": mutation(inputs.BuildTypeInput, sources.save_build_type),
    "application.saveEnvironment": mutation(inputs.EnvironmentVariables, sources.save_environment),
    "application.deploy": mutation(inputs.Deploy, deployments.deploy),
    "application.redeploy": mutation(inputs.Deploy, deployments.redeploy),
    "application.cancelDeployment": mutation(inputs.ApplicationId, deployments.cancel),
    "application.cleanQueues": mutation(inputs.ApplicationId, deployments.clean_queues),
    "application.killBuild": mutation(inputs.ApplicationId, deployments.kill_build),
    "application.clearDeployments": mutation(inputs.ApplicationId, deployments.clear),
    "deployment.all": query(inputs.ApplicationId, deployments.all_of),
    "deployment.allByType": query(inputs.DeploymentsByType, deployments.all_by_type),
    "deployment.allCentralized": query(inputs.Nothing, deployments.all_centralized),
    "deployment.queueList": query(inputs.Nothing, deployments.queue_list),
    "deployment.readLogs": query(inputs.ReadLogs, deployments.read_logs),
    "deployment.killProcess": mutation(inputs.DeploymentId, deployments.kill_process),
    "deployment.removeDeployment": mutation(inputs.DeploymentId, deployments.remove),
    "project.all": query(inputs.Nothing, projects.all_),
    "project.one": query(inputs.ProjectId, projects.one),
    "project.create": mutation(inputs.ProjectCreate, projects.create),
    "project.remove": mutation(inputs.ProjectId, projects.remove),
    "project.search": query(inputs.Search, projects.search),
    "environment.one": query(inputs.EnvironmentId, projects.environment_one),
    "environment.byProjectId": query(inputs.ProjectId, projects.environments_of),
    "environment.create": mutation(inputs.EnvironmentCreate, projects.environment_create),
    "environment.update": mutation(inputs.EnvironmentUpdate, projects.environment_update),
    "environment.remove": mutation(inputs.EnvironmentId, projects.environment_remove),
    "environment.search": query(inputs.Search, projects.environment_search),
    "gitProvider.getAll": query(inputs.Nothing, providers.get_all),
    "github.githubProviders": query(inputs.Nothing, providers.github_all),
    "github.one": query(inputs.GithubId, providers.github_one),
    "github.getGithubRepositories": query(inputs.GithubId, providers.github_repositories),
    "github.getGithubBranches": query(inputs.GithubRepository, providers.github_branches),
    "gitlab.gitlabProviders": query(inputs.Nothing, providers.gitlab_all),
    "gitlab.one": query(inputs.GitlabId, providers.gitlab_one),
    "gitlab.getGitlabRepositories": query(inputs.GitlabId, providers.gitlab_repositories),
    "gitlab.getGitlabBranches": query(inputs.GitlabRepository, providers.gitlab_branches),
    "gitlab.create": mutation(inputs.GitlabCreate, providers.gitlab_create),
    "settings.getDokployVersion": query(inputs.Nothing, procedure.version),
    "settings.getReleaseTag": query(inputs.Nothing, procedure.release_tag),
    "settings.health": query(inputs.Nothing, procedure.health),
}
"""By name: `POST` or `GET /api/<name>`."""

__all__ = ["EMPTY", "PROCEDURES", "Procedure"]
