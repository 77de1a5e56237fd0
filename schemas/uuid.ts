/** A UUID of any version as text, hand-made ones included (the default tenant's), in either case. */
export const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
