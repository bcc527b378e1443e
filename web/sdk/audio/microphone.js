// The microphone, as chunks of a tenth of a second, in real time.

/**
 * @typedef {object} Source
 * @property {(onChunk: (samples: Int16Array) => void, onEnd: () => void) => void} start
 * @property {() => void} stop safe to call more than once
 */

export class MicrophoneError extends Error {
  /**
   * @param {'microphone_needs_https' | 'microphone_refused' | 'microphone_missing' | 'network'} code
   *   network where the worklet could not be loaded
   * @param {unknown} [cause]
   */
  constructor(code, cause) {
    super(String(cause ?? code), { cause })
    this.code = code
  }
}

/**
 * Asks for the microphone. It is not listened to before start.
 * @param {number} rate samples a second
 * @param {URL} worklet where recorder.worklet.js is
 * @returns {Promise<Source>}
 * @throws {MicrophoneError}
 */
export async function openMicrophone(rate, worklet) {
  if (!navigator.mediaDevices || !window.AudioWorkletNode) throw new MicrophoneError('microphone_needs_https')
  const context = new AudioContext() // while the click still counts as one
  let stream
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } })
    await context.audioWorklet.addModule(worklet).catch((error) => { throw new MicrophoneError('network', error) })
    await context.resume()
  } catch (error) {
    stream?.getTracks().forEach((track) => track.stop())
    context.close()
    if (error instanceof MicrophoneError) throw error
    const isRefused = error instanceof DOMException && error.name === 'NotAllowedError'
    throw new MicrophoneError(isRefused ? 'microphone_refused' : 'microphone_missing', error)
  }
  /** @type {AudioWorkletNode | undefined} */
  let recorder
  return {
    start(onChunk, onEnd) {
      recorder = new AudioWorkletNode(context, 'recorder', { numberOfOutputs: 0, processorOptions: { rate } })
      recorder.port.onmessage = ({ data }) => onChunk(data)
      context.createMediaStreamSource(stream).connect(recorder)
      stream.getAudioTracks()[0].onended = onEnd
    },
    stop() {
      recorder?.port.close()
      stream.getTracks().forEach((track) => track.stop())
      if (context.state !== 'closed') context.close()
    },
  }
}
