import {
  type Arguments,
  type Context,
  type Emitter,
  Hash,
  type Liquid,
  type Parser,
  type PartialScope,
  Tag,
  type TagToken,
  type Template,
  type TopLevelToken,
  TypeGuards,
} from "liquidjs";

/**
 * `{% partial key: value %}…{% endpartial %}`: what `render` does, with the partial already in its place. Inside are
 * its arguments and the variables that every template has; nothing it sets is seen outside.
 */
export class PartialTag extends Tag {
  private readonly hash: Hash;
  private readonly templates: Template[] = [];

  constructor(token: TagToken, remaining: TopLevelToken[], liquid: Liquid, parser: Parser) {
    super(token, remaining, liquid);
    this.hash = new Hash(this.tokenizer);
    for (let next = remaining.shift(); next !== undefined; next = remaining.shift()) {
      if (TypeGuards.isTagToken(next) && next.name === "endpartial") return;
      this.templates.push(parser.parseToken(next, remaining));
    }
    throw new Error("partial is not closed");
  }

  *render(context: Context, emitter: Emitter): Generator<unknown, void> {
    const values = yield this.hash.render(context);
    const inside = context.spawn(Object(values));
    yield this.liquid.renderer.renderTemplates(this.templates, inside, emitter);
  }

  // LiquidJS wants a generator, and there is nothing to wait for.
  *children(): Generator<unknown, Template[]> {
    yield* [];
    return this.templates;
  }

  *arguments(): Arguments {
    for (const value of Object.values(this.hash.hash)) {
      if (value !== undefined && TypeGuards.isValueToken(value)) yield value;
    }
  }

  /** The name says which one it is: of several with one name only the first would be looked into. */
  partialScope(): PartialScope {
    const name = String(this.token.begin);
    return { name, isolated: true, scope: Object.keys(this.hash.hash) };
  }
}
