declare module "*?url" {
  const address: string;
  // oxlint-disable-next-line import/no-default-export -- as Vite has it
  export default address;
}
