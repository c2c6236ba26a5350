/** The same object with some members replaced. A proxy, because the store's own members are private to it. */
export function wrap<Target extends object>(inner: Target, changes: Partial<Target>): Target {
  return new Proxy(inner, {
    get(target, name) {
      if (Object.hasOwn(changes, name)) return changes[name as keyof Target];
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === "function" ? (member.bind(target) as unknown) : member;
    },
  });
}
