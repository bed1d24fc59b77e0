// Slack's Web API as far as the bridge calls it, with Slack's own types of all arguments.
import type {
  AppsConnectionsOpenArguments, AuthTestArguments, ChatGetPermalinkArguments,
  ChatPostEphemeralArguments, ChatPostMessageArguments, ChatUpdateArguments,
  ConversationsHistoryArguments, ConversationsInfoArguments, ConversationsListArguments,
  ConversationsRepliesArguments, UsergroupsUsersListArguments, UsersInfoArguments,
  UsersLookupByEmailArguments, ViewsOpenArguments, ViewsPublishArguments, ViewsPushArguments,
  ViewsUpdateArguments,
} from "@slack/web-api"

type Read<Arguments> = { get: { parameters: { query: Arguments } } }
type Call<Arguments> = { post: { requestBody: Arguments } }
type Without<Message, Key extends string> = Message extends unknown ? Omit<Message, Key> : never

export interface Requests {
  "/api/apps.connections.open": Call<AppsConnectionsOpenArguments>
  "/api/auth.test": Call<AuthTestArguments>
  "/api/chat.getPermalink": Read<ChatGetPermalinkArguments>
  "/api/chat.postEphemeral": Call<ChatPostEphemeralArguments>
  "/api/chat.postMessage": Call<ChatPostMessageArguments>
  "/api/chat.update": Call<ChatUpdateArguments>
  "/api/conversations.history": Read<ConversationsHistoryArguments>
  "/api/conversations.info": Read<ConversationsInfoArguments>
  "/api/conversations.list": Read<Exclude<ConversationsListArguments, void>>
  "/api/conversations.replies": Read<ConversationsRepliesArguments>
  "/api/usergroups.users.list": Read<UsergroupsUsersListArguments>
  "/api/users.info": Read<UsersInfoArguments>
  "/api/users.lookupByEmail": Read<UsersLookupByEmailArguments>
  "/api/views.open": Call<ViewsOpenArguments>
  "/api/views.publish": Call<ViewsPublishArguments>
  "/api/views.push": Call<ViewsPushArguments>
  "/api/views.update": Call<ViewsUpdateArguments>
  "/respond/{token}": {
    post: {
      parameters: { path: { token: string } }
      // As @slack/bolt has it.
      requestBody: Without<ChatPostMessageArguments, "channel" | "text"> & {
        text?: string
        response_type?: "in_channel" | "ephemeral"
        replace_original?: boolean
        delete_original?: boolean
      }
    }
  }
}
