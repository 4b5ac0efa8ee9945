/** Whether there is a graphics processor to compute on; software that plays one is slower than WebAssembly, and not taken. */
export async function hasWebgpu(): Promise<boolean> {
  if (!("gpu" in navigator) || !("Suspending" in WebAssembly)) return false;
  const adapter = await (navigator.gpu as Gpu).requestAdapter().catch(() => null);
  return adapter !== null && !adapter.info.isFallbackAdapter;
}

/** The part of WebGPU's types that is used. */
interface Gpu {
  requestAdapter(): Promise<{ readonly info: { readonly isFallbackAdapter: boolean } } | null>;
}
