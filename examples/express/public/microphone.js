// Opens the microphone. Its samples, in base64, go to onAudio from start() on.
export async function openMicrophone(onAudio) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } })
  const context = new AudioContext()
  const stop = () => {
    stream.getTracks().forEach((track) => track.stop())
    if (context.state !== 'closed') context.close()
  }
  try {
    await context.audioWorklet.addModule('microphone.worklet.js')
  } catch (error) {
    stop()
    throw error
  }
  return {
    // The device's own, so that nothing has to be resampled; the vendor takes
    // the usual ones.
    sampleRate: context.sampleRate,
    start() {
      const worklet = new AudioWorkletNode(context, 'microphone', { numberOfOutputs: 0 })
      worklet.port.onmessage = ({ data }) => onAudio(btoa(String.fromCharCode(...new Uint8Array(data.buffer))))
      context.createMediaStreamSource(stream).connect(worklet)
      return context.resume()
    },
    stop,
  }
}
