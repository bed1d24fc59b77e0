// All of Discord's API, without what it answers.
import type { Paths } from "discord-api-spec"

type Asked<Operation> = Pick<Operation, Extract<"parameters" | "requestBody", keyof Operation>>

export type Requests = {
  [Path in keyof Paths]: {
    [Method in keyof Paths[Path]]: Asked<Paths[Path][Method]>
  }
}
